-- No ipairs: Redis has none of Lua's own functions while it loads a library.
for i = 1, #functions do
  local call = functions[i]
  redis.register_function{function_name = call[1], callback = call[2], flags = call[3]}
end
