# What one person grew over the years: spam first, then lists, then people.
require ["fileinto", "envelope", "regex", "reject", "vacation", "relational", "comparator-i;ascii-numeric", "imap4flags", "copy", "variables"];

/* Nothing of this may be lost,
   whatever else is in it. */
if anyof (address :is :all "from" ["ann@example.org", "boss@work.example"],
          header :contains "subject" ["[urgent]", "URGENT:"]) {
	addflag "\\Flagged";
	keep;
	stop;
}

if header :value "ge" :comparator "i;ascii-numeric" ["X-Spam-Score"] ["15"] { discard; stop; }
elsif anyof (
	header :contains "x-spam-flag" "YES",
	header :regex "subject" ["(viagra|cialis)", "^[A-Z ]{20,}$", "\\$[0-9]+"],
	not exists ["Date", "From"],
	allof (not address :all :contains ["To", "Cc", "Bcc"] "me@example.net",
	       not header :matches ["List-Id", "List-Post"] "*"))
{
	setflag ["\\Seen"];
	fileinto "Junk";
	stop;
}

if header :matches "list-id" "*<*.lists.example.org>*" { fileinto "lists.${2}"; }
elsif header :is ["Sender", "Resent-From"] ["owner-nmh@example.edu", "owner-ietf@example.com"] { fileinto "lists.other"; }
elsif size :over 1M {
	reject text:
Your message is too large. Please put what it carries
..somewhere on the web, and send the address.
.
;
}
else { redirect :copy "archive@example.net"; }
