# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# xmllint: parses, formats, queries and validates a large XML document.

programs=(xmllint)

workload() {
    awk 'BEGIN {
        print "<?xml version=\"1.0\"?>\n<list>"
        for (i = 0; i < 20000; i++) {
            printf "<item id=\"i%d\" kind=\"k%d\">", i, i % 17
            printf "<name>name %d</name><v>%d</v></item>\n", i, i * 7919 % 1009
        }
        print "</list>"
    }' >data.xml
    xmllint --format data.xml | sha256sum
    xmllint --xpath 'count(//item[@kind="k5" and v > 500])' data.xml
    xmllint --xpath 'sum(//v)' data.xml
    xmllint --stream --noout data.xml && echo streamed
    xmllint --sax --noout data.xml | sha256sum
    cat >schema.rng <<'RNG'
<element name="list" xmlns="http://relaxng.org/ns/structure/1.0"><zeroOrMore><element name="item">
<attribute name="id"/><attribute name="kind"/>
<element name="name"><text/></element><element name="v"><text/></element>
</element></zeroOrMore></element>
RNG
    xmllint --noout --relaxng schema.rng data.xml 2>&1
    xmllint --c14n data.xml | sha256sum
    sed -i '100s/<v>/<w>/' data.xml
    xmllint --noout data.xml 2>&1 | sed -n 1,3p || true
}
