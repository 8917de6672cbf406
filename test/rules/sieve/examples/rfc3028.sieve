# An older script in the manner of RFC 3028
require ["fileinto", "reject"];

if header :is "Sender" "owner-ietf-mta-filters@imc.example"
        {
        fileinto "filter";  # move to "filter" folder
        }
elsif address :domain :is ["From", "To"] "example.com"
        {
        keep;               # keep in "In" folder
        }
elsif anyof (not address :all :contains
               ["To", "Cc", "Bcc"] "me@example.com",
             header :matches "subject"
               ["*make*money*fast*", "*university*dipl*mas*"])
        {
        if header :contains "subject" "make money fast" { discard; stop; }
        fileinto "spam";
        }
else
        {
        fileinto "personal";
        }
