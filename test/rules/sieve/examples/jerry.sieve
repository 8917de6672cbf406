# mostly a long chain
require "fileinto";
if header :is "X-Spam-Flag" "YES" { fileinto "Spam"; stop; }
if header :contains "Return-Path" "<bounces+" { fileinto "Bounces"; stop; }
if address :localpart "to" "root" { fileinto "System"; stop; }
if address :localpart "to" ["postmaster", "abuse"] { fileinto "System.Role"; stop; }
if header :matches "Subject" "Cron <*@*> *" { fileinto "System.Cron"; stop; }
if true { keep; }
