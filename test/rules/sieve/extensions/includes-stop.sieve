require "include";
include "stops";
redirect "x@example.org";
