# A file as a C array: cmake -DINPUT= -DOUTPUT= -DNAME= -DHEADER= -P Embed.cmake
cmake_minimum_required(VERSION 3.25)
file(READ "${INPUT}" bytes HEX)
string(REGEX MATCHALL "[0-9a-f][0-9a-f]" bytes "${bytes}")
list(TRANSFORM bytes PREPEND "0x")
list(JOIN bytes "," bytes)
string(REGEX REPLACE "(....,....,....,....,....,....,....,....,....,....,....,....,....,....,....,....,)" "\\1\n" bytes "${bytes}")
file(WRITE "${OUTPUT}" "#include \"${HEADER}\"\n\nconst unsigned char ${NAME}[] = {\n${bytes}};\nconst size_t ${NAME}_bytes = sizeof ${NAME};\n")
