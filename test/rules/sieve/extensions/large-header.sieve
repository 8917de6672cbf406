require ["editheader", "variables"];
set "a" "0123456789012345678901234567890123456789012345678901234567890123";
set "b" "${a}${a}${a}${a}${a}${a}${a}${a}${a}";
addheader "X-Large" "${b}${b}";
