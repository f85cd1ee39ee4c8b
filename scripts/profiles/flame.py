# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Flame graphs: one SVG file with the script to zoom and search in it; opens in any browser.

A box is a function; its width is what was allocated in it and in what it called (the boxes above). With
a `before`, colours tell the change: red grew, blue shrank.
"""
import html
import zlib

WIDTH, ROW, FONT, SIDE, TOP, BOTTOM, MIN_WIDTH = 1200, 17, 12, 10, 60, 30, 0.3

SCRIPT = """
var svg=document.documentElement,boxes=[],width=%(width)d,side=%(side)d,zoomed=null;
function number(e,a){return parseFloat(e.getAttribute(a));}
function fit(g){var t=g.querySelector('text'),r=g.querySelector('rect'),w=number(r,'width'),
 n=g.getAttribute('data-n'),c=Math.floor((w-6)/7);
 t.textContent=c<3?'':n.length<=c?n:n.slice(0,c-2)+'..';t.setAttribute('x',number(r,'x')+3);}
function zoom(g){zoomed=g;var x0=g?number(g,'data-x'):0,w0=g?number(g,'data-w'):1,d0=g?number(g,'data-d'):-1;
 boxes.forEach(function(b){var x=number(b,'data-x'),w=number(b,'data-w'),d=number(b,'data-d'),
  r=b.querySelector('rect'),above=d<d0&&x<=x0+1e-9&&x+w>=x0+w0-1e-9,in_=x>=x0-1e-9&&x+w<=x0+w0+1e-9&&d>=d0;
  b.style.display=above||in_?'':'none';b.style.opacity=above?0.5:1;
  if(above){r.setAttribute('x',side);r.setAttribute('width',width);}
  else if(in_){r.setAttribute('x',side+(x-x0)/w0*width);r.setAttribute('width',Math.max(w/w0*width-0.4,0.2));}
  fit(b);});document.getElementById('reset').style.display=g?'':'none';}
function search(){var q=prompt('Part of a function name, or a regular expression:','');if(q===null)return;
 var re=null,sum=0,end=-1;try{re=q?new RegExp(q):null;}catch(e){alert(e);return;}
 var hits=[];boxes.forEach(function(b){var r=b.querySelector('rect'),hit=re&&re.test(b.getAttribute('data-n'));
  r.setAttribute('fill',hit?'#a020f0':b.getAttribute('data-c'));
  if(hit)hits.push([number(b,'data-x'),number(b,'data-w')]);});
 hits.sort(function(a,b){return a[0]-b[0];});hits.forEach(function(h){if(h[0]>=end-1e-9){sum+=h[1];end=h[0]+h[1];}});
 document.getElementById('found').textContent=re?'found: '+(sum*100).toFixed(1)+' %%':'';}
window.addEventListener('load',function(){boxes=Array.prototype.slice.call(document.querySelectorAll('g.b'));
 boxes.forEach(function(b){b.addEventListener('click',function(){zoom(b);});});
 document.getElementById('reset').addEventListener('click',function(){zoom(null);});
 document.getElementById('search').addEventListener('click',search);
 window.addEventListener('keydown',function(e){if((e.ctrlKey||e.metaKey)&&e.key==='f'){e.preventDefault();search();}});
 boxes.forEach(fit);});
"""


class Node:
    __slots__ = ("name", "value", "before", "children")

    def __init__(self, name):
        self.name, self.value, self.before, self.children = name, 0, 0, {}

    def add(self, stack, value, before):
        node = self
        node.value += value
        node.before += before
        for name in stack:
            node = node.children.setdefault(name, Node(name))
            node.value += value
            node.before += before

    def depth(self, total):
        best, stack = 0, [(self, 0)]
        while stack:
            node, level = stack.pop()
            best = max(best, level)
            stack += [(c, level + 1) for c in node.children.values() if c.shown() * WIDTH >= MIN_WIDTH * total]
        return best

    def shown(self):
        """What the width tells: the larger one, so that what went away is seen too."""
        return max(self.value, self.before)


def human(value, unit):
    if unit != "bytes":
        return "{:,}".format(value)
    for suffix in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024 or suffix == "GiB":
            return "%d B" % value if suffix == "B" else "%.1f %s" % (value, suffix)
        value /= 1024


def colour(name):
    """Warm, the same for the same name."""
    mix = zlib.crc32(name.encode())
    return "#%02x%02x%02x" % (205 + mix % 50, 80 + (mix >> 8) % 130, (mix >> 16) % 55)


def change_colour(node, scale):
    share = min(1.0, abs(node.value - node.before) / scale) ** 0.5 if scale else 0
    pale = int(255 - 175 * share)
    if node.value == node.before:
        return "#eeeeee"
    return "#ff%02x%02x" % (pale, pale) if node.value > node.before else "#%02x%02xff" % (pale, pale)


def box(out, node, left, level, total, height, unit, scale):
    x, w = left / total, node.shown() / total
    y = height - BOTTOM - (level + 1) * ROW
    fill = colour(node.name) if scale is None else change_colour(node, scale)
    text = "%s: %s, %.2f %%" % (node.name, human(node.value, unit), 100 * node.value / total)
    if scale is not None:
        delta = node.value - node.before
        text += "; before %s, %s%s" % (human(node.before, unit), "+" if delta >= 0 else "-", human(abs(delta), unit))
    out.append('<g class="b" data-x="%.6f" data-w="%.6f" data-d="%d" data-c="%s" data-n="%s"><title>%s</title>'
               '<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" rx="1"/><text x="%.1f" y="%d">%s</text></g>'
               % (x, w, level, fill, html.escape(node.name, True), html.escape(text), SIDE + x * WIDTH, y,
                  max(w * WIDTH - 0.4, 0.2), ROW - 1, fill, SIDE + x * WIDTH + 3, y + FONT,
                  html.escape(cut(node.name, w * WIDTH))))


def cut(name, width):
    room = int((width - 6) / 7)
    return "" if room < 3 else name if len(name) <= room else name[:room - 2] + ".."


def draw(root, title, subtitle, unit):
    """The SVG's text. root: its value is the whole."""
    total = root.shown() or 1
    difference = root.before != 0 or any(c.before for c in root.children.values())
    scale = max((abs(c.value - c.before) for c in root.children.values()), default=0) if difference else None
    height = TOP + BOTTOM + (root.depth(total) + 1) * ROW
    out = ['<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
           'viewBox="0 0 %d %d" font-family="DejaVu Sans Mono,Menlo,monospace" font-size="11">'
           % (WIDTH + 2 * SIDE, height, WIDTH + 2 * SIDE, height),
           "<style>g.b{cursor:pointer}g.b:hover rect{stroke:#000;stroke-width:1}text{pointer-events:none}"
           ".c{cursor:pointer;pointer-events:all;fill:#06c}</style>",
           "<script><![CDATA[%s]]></script>" % (SCRIPT % {"width": WIDTH, "side": SIDE}),
           '<rect width="100%" height="100%" fill="#fffdf6"/>',
           '<text x="%d" y="24" font-size="17" text-anchor="middle">%s</text>' % (WIDTH / 2 + SIDE, html.escape(title)),
           '<text x="%d" y="42" text-anchor="middle" fill="#555">%s</text>' % (WIDTH / 2 + SIDE, html.escape(subtitle)),
           '<text class="c" id="reset" x="%d" y="24" style="display:none">whole graph</text>' % SIDE,
           '<text class="c" id="search" x="%d" y="24" text-anchor="end">search</text>' % (WIDTH + SIDE),
           '<text id="found" x="%d" y="42" text-anchor="end"></text>' % (WIDTH + SIDE)]
    stack = [(root, 0.0, 0)]
    while stack:
        node, left, level = stack.pop()
        if node.shown() * WIDTH < MIN_WIDTH * total:
            continue
        box(out, node, left, level, total, height, unit, scale)
        for name in sorted(node.children):
            child = node.children[name]
            stack.append((child, left, level + 1))
            left += child.shown()
    out.append("</svg>\n")
    return "\n".join(out)
