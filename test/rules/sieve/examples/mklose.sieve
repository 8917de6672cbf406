require ["fileinto", "copy", "envelope", "date", "variables", "editheader", "encoded-character", "relational"];
if not header :contains "X-Filtered" "yes" {
	addheader :last "X-Filtered" "yes";
}
if envelope :all :is "from" "" { fileinto "Bounces"; stop; }
if date :value "lt" :zone "+0100" "date" "hour" "06" { fileinto "Night"; }
if header :contains "Subject" ["${hex: c3 a9}", "${unicode: 20AC}"] { fileinto :copy "Foreign"; }
