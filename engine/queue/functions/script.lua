return functions[table.remove(ARGV, 1)](KEYS, ARGV)
