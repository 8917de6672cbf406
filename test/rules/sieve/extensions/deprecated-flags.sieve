require ["imapflags", "fileinto"];
setflag ["\\Seen", "first"];
mark;
unmark;
addflag "second";
removeflag "first";
mark;
keep;
