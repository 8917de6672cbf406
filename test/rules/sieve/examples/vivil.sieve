require ["fileinto", "reject", "vacation", "imap4flags", "relational", "comparator-i;ascii-numeric", "regex"];
# mark, file, answer
if header :contains "X-Mailer" ["TheBat", "Outlook"] { addflag "$outlook"; }
if allof (header :regex :comparator "i;ascii-casemap" "from" "[a-z]+@example\\.(org|net)",
	not exists "list-id") {
	vacation
		:days 3
		:addresses ["vivil@example.org", "v@example.org"]
		:from "Vivil <vivil@example.org>"
		text:
Hello,

thank you for your mail. I shall read it after the 10th.
-- 
V.
.
;
}
if header :count "gt" :comparator "i;ascii-numeric" ["received"] "12" { fileinto "loops"; }
