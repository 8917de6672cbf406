require ["fileinto", "envelope", "subaddress", "vacation", "variables", "body", "date", "relational", "index", "ihave", "mailbox"];

if envelope :user "to" "orders" {
	if body :text :contains "invoice" { fileinto :create "Orders/Invoices"; }
	else { fileinto :create "Orders"; }
}

set "subject" "";
if header :matches "Subject" "*" { set :lower "subject" "${1}"; }
if string :matches "${subject}" "*out of office*" { discard; stop; }

if currentdate :value "ge" "date" "2007-06-30" {
	if currentdate :value "lt" "date" "2007-07-15" {
		vacation :days 7 :subject "Re: ${subject}" :handle "summer" "I am on leave.";
	}
}
if header :index 1 :contains "received" "dialup" { fileinto :create "Doubtful"; }
if ihave "vnd.example.none" { keep; }
if not header :contains "Message-ID" "@" { keep; }
