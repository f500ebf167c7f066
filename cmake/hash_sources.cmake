# cmake -DOUT=FILE.c "-DFILES=A;B;..." -P hash_sources.cmake: a C file with one hash of all files.
set(hashes "")
foreach(file IN LISTS FILES)
  file(SHA256 ${file} hash)
  string(APPEND hashes ${hash})
endforeach()
string(SHA256 all "${hashes}")
file(WRITE ${OUT} "#include \"compiler/codegen/llvm_module.h\"\n\nconst char moire__codegen_sources[] = \"${all}\";\n")
