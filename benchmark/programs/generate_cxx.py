# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the C++ source that the compiler workload compiles.

No include, so that it is the same on each machine. Many small classes, templates with several
instances each, loops and switches for the optimiser. generate(units) returns the text; 28 units
take cc1plus -O2 about a second.
"""

HEAD = """
template <typename T> struct list {
  T *first;
  unsigned used, room;
  void grow() {
    unsigned wide = room ? room * 2 : 4;
    T *more = new T[wide];
    for (unsigned i = 0; i < used; ++i)
      more[i] = first[i];
    delete[] first;
    first = more;
    room = wide;
  }
  void add(const T &value) {
    if (used == room)
      grow();
    first[used++] = value;
  }
  template <typename F> T fold(T seed, F f) const {
    for (unsigned i = 0; i < used; ++i)
      seed = f(seed, first[i]);
    return seed;
  }
};
template <int N> struct power {
  static constexpr long of(long x) { return x * power<N - 1>::of(x); }
};
template <> struct power<0> {
  static constexpr long of(long) { return 1; }
};
struct shape {
  virtual ~shape() {}
  virtual long area() const = 0;
};
"""

UNIT = """
struct shape_{i} : shape {{
  long a, b;
  shape_{i}(long x, long y) : a(x), b(y) {{}}
  long area() const override {{ return a * b + power<{power}>::of(a % {mod}); }}
}};
struct item_{i} {{
  int key;
  {type} value;
  bool operator<(const item_{i} &o) const {{ return key < o.key; }}
}};
long work_{i}(int n) {{
  list<item_{i}> all = {{nullptr, 0, 0}};
  list<{type}> plain = {{nullptr, 0, 0}};
  for (int k = 0; k < n; ++k) {{
    all.add(item_{i}{{k * {mod}, ({type})(k ^ {i})}});
    plain.add(({type})(k + {mod}));
  }}
  for (unsigned x = 1; x < all.used; ++x)
    for (unsigned y = x; y > 0 && all.first[y] < all.first[y - 1]; --y) {{
      item_{i} t = all.first[y];
      all.first[y] = all.first[y - 1];
      all.first[y - 1] = t;
    }}
  {type} sum = plain.fold(0, []({type} p, {type} q) {{ return ({type})(p * 31 + q); }});
  switch (n % 7) {{
    case 0: sum += 1; break;
    case 1: sum ^= 5; break;
    case 2: sum = ({type})(sum << 1); break;
    case 3: sum -= {i}; break;
    case 4: return n;
    default: sum = ({type})-sum;
  }}
  shape *s = new shape_{i}(n, (long)sum);
  long r = s->area();
  delete s;
  delete[] all.first;
  delete[] plain.first;
  return r;
}}
"""


def generate(units):
    kinds = ["int", "long", "unsigned", "short", "unsigned long"]
    parts = [HEAD]
    for i in range(units):
        parts.append(UNIT.format(i=i, power=i % 9 + 1, mod=i % 97 + 3, type=kinds[i % len(kinds)]))
    parts.append(
        "long all(int n) { long r = 0;\n%s  return r; }\n"
        % "".join("  r += work_%d(n);\n" % i for i in range(units))
    )
    return "".join(parts)
