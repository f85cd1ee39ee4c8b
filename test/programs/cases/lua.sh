# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# lua: tables, strings, closures and coroutines.

programs=(lua5.4)

workload() {
    cat >work.lua <<'LUA'
local function work(seed)
  local counts, parts = {}, {}
  for i = 1, 200000 do
    seed = (seed * 1103515245 + 12345) % 2147483648
    local word = "w" .. (seed >> 16) % 9973
    counts[word] = (counts[word] or 0) + 1
  end
  for word, n in pairs(counts) do parts[#parts + 1] = word .. "=" .. n end
  table.sort(parts)
  local text = table.concat(parts, ";")
  local replaced, n = text:gsub("w(%d+)7=(%d+)", function(a, b) return a .. ":" .. b * 2 end)
  local hash = 0
  for i = 1, #replaced do hash = (hash * 31 + replaced:byte(i)) % 4294967296 end
  return #replaced, n, hash
end
for seed = 1, 3 do print(work(seed)) end
local function tree(depth) return depth == 0 and {} or { tree(depth - 1), tree(depth - 1) } end
local function count(t) return t[1] and 1 + count(t[1]) + count(t[2]) or 1 end
for depth = 10, 16 do print(depth, count(tree(depth))) end
local routine = coroutine.wrap(function() for i = 1, 1000 do coroutine.yield(("x"):rep(i)) end end)
local length = 0
for i = 1, 1000 do length = length + #routine() end
collectgarbage()
print(length)
LUA
    lua5.4 work.lua
}
