require ["envelope", "fileinto"];
if envelope :contains "to" "sanjay" {
  if header :contains "Subject" "zyx" { redirect "sanjay@example.org"; stop; }
  if header :contains "Subject" "ticket" { fileinto "tickets"; }
}
if size :over 500K { keep; }
