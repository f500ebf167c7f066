# cmake -DSOURCE=DIR -DOUT=FILE.c -P commit.cmake: a C file with the commit of the tree in DIR, "-dirty" behind it where
# files differ, or "release" where DIR is no git tree of its own. FILE.c is left alone where it says so already.
set(commit release)
if(EXISTS ${SOURCE}/.git)
  set(ENV{GIT_OPTIONAL_LOCKS} 0) # it only looks
  execute_process(COMMAND git -C ${SOURCE} describe --always --tags --dirty
    OUTPUT_VARIABLE described RESULT_VARIABLE status OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  set(commit unknown) # there is no git, or it refuses
  if(status EQUAL 0)
    set(commit ${described})
  endif()
endif()
set(text "#include \"tools/tool.h\"\n\nconst char tool_commit[] = \"${commit}\";\n")
set(before "")
if(EXISTS ${OUT})
  file(READ ${OUT} before)
endif()
if(NOT before STREQUAL text)
  file(WRITE ${OUT} "${text}")
endif()
