require ["envelope", "subaddress", "fileinto"];
# sieve+list@example.net, and the like
if envelope :detail "to" "mta-filters" { fileinto "inbox.mta-filters"; stop; }
if envelope :user "to" "postmaster" { fileinto "inbox.postmaster"; stop; }
if address :detail :is ["to", "cc"] "" { fileinto "inbox.plain"; }
if address :user :matches "from" "*-bounce*" { discard; }
