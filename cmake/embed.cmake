# Writes the functions that run in Redis as two C strings into TO: a library, which names itself in its first line, and the
# same as a script that calls one of them. FOLDER has the files; PARTS are those of both, in this order.
function(read_text file variable)
  file(READ ${FOLDER}/${file}.lua text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n\"\n  \"" text "${text}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()

set(body "")
foreach(part ${PARTS})
  read_text(${part} text)
  string(APPEND body "${text}")
endforeach()
read_text(library library)
read_text(script script)
file(WRITE ${TO} "#include \"engine/queue/functions.h\"\n
const char lk_functions_library[] =\n  \"#!lua name=likeness_5\\n\"\n  \"${body}${library}\";\n
const char lk_functions_script[] =\n  \"#!lua flags=allow-oom\\n\"\n  \"${body}${script}\";\n")
