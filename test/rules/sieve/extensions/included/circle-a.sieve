require "include";
include "circle-b";
