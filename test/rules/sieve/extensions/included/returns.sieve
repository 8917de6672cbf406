require ["include", "variables"];
global "reached";
set "reached" "before";
return;
set "reached" "after";
