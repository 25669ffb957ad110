; A loader that merges neighbours of its memory map, and enters a kernel.

%define GUEST 'merging-loader'
%include "defects/merging-loader.inc"
