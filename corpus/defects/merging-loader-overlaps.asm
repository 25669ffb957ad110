; The same loader in a build that merges what overlaps, too, and loses memory by it.

%define GUEST 'merging-loader'
%define MERGE_OVERLAPPING
%include "defects/merging-loader.inc"
