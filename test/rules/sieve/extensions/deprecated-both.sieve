require ["imapflags", "imap4flags"];
require ["enotify", "notify"];
keep;
