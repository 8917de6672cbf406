require ["fileinto","reject"];
#
# Folders by sender and list
#
if header :contains ["to","cc"] "users@lists.example.org" {
	fileinto "INBOX.lists.users"; }
elsif header :contains "from" ["friend@example.org","other@example.org"]
{ fileinto "INBOX.friends"; }
elsif header :contains ["Subject"] ["ADV:", "advertisement"] { discard; }
elsif address :domain :is "from" "example.com"
	{ redirect "assistant@example.net"; }
else
	{ keep; }
