# Writes the text file FROM as the C string constant lk_functions_lua into TO.
file(READ ${FROM} text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n  \"" text "${text}")
file(WRITE ${TO} "#include \"engine/queue/protocol.h\"\n\nconst char lk_functions_lua[] =\n  \"${text}\";\n")
