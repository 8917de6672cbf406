require ["include", "variables"];
global "shared";
set "shared" "inner";
set "own" "inner";
