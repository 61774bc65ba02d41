#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bad input is refused with its place and the way out, and leaves nothing half-made.
. tests/vm/lib.sh

cd "$test_dir" || exit 1

# refused REGEX NAME: what is in bad.yaml is refused by apply, with a message that matches
refused() {
        run berth apply -f bad.yaml
        [ "$code" != 0 ]
        ok $? "$2 is refused (exit code $code)"
        like "$out" "$1" "$2: the message"
}

cat >bad.yaml <<'END'
services:
  web:
    image: hello-web
    comand: sleep 1000
END
refused '^bad.yaml:4:5: .*comand.*command' "an unknown key"

cat >bad.yaml <<'END'
services:
  web:
    image: hello-web
    environment: 12
END
refused '^bad.yaml:4:18: .*environment' "a wrong type"

cat >bad.yaml <<'END'
services:
  a:
    image: hello-web
    depends_on: [b]
  b:
    image: hello-web
    depends_on: [a]
END
refused '^bad.yaml:[0-9]+:[0-9]+: .*wait for each other: a -> b -> a' "a dependency cycle"

cat >bad.yaml <<'END'
services:
  web:
    image: hello-web
    x-berth:
      memory: 16m
END
refused '^bad.yaml:5:15: .*memory.*64' "memory below the minimum"

{
        echo 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]'
        for i in 1 2 3 4 5 6 7 8 9; do
                p=$((i - 1))
                echo "a$i: &a$i [*a$p, *a$p, *a$p, *a$p, *a$p, *a$p, *a$p, *a$p, *a$p, *a$p]"
        done
        echo 'services: {web: {image: hello-web, command: *a9}}'
} >bad.yaml
refused '^bad.yaml:[0-9]+:[0-9]+: .*(alias|nodes)' "an alias bomb"
is "$(berth ps -a -o json | jq length)" 0 "nothing was made"

cat >bad.yaml <<'END'
name: lost
services:
  web:
    image: no-such-image
    pull_policy: never
    command: sleep 1000
END
refused 'no-such-image.*berth image (load|pull)' "an unknown image"
run berth delete lost
is "$code" 0 "its stack can be deleted"

# A host port in use: this service waits, the other runs; when the port is free it converges.
port=$(free_port)
socat "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr,fork" EXEC:/bin/true &
holder=$!
cat >port.yaml <<END
name: port
services:
  web:
    image: hello-web
    command: httpd -f -p 80 -h /
    ports: ["$port:80"]
  other:
    image: hello-web
    command: sleep 1000
END
run berth apply -f port.yaml --timeout 60s
ok $((code == 0)) "a host port in use fails the apply (exit code $code)"
like "$out" "$port.*(in use|already)" "and is named"
is "$(field_of port other 1 .state)" running "the other service runs"
kill "$holder"
# shellcheck disable=SC2317 # wait_for evaluates it
web_runs() {
        [ "$(field_of port web 1 .state)" = running ]
}
wait_for web_runs
ok $? "it converges when the port is free"
run berth delete port
is "$code" 0 "delete succeeds"

# Archives. good.tar is an OCI archive of one file; the bad ones are made from it.
mkdir -p root/etc oci
echo content >root/etc/file
umoci --log error init --layout oci/i
umoci --log error new --image oci/i:latest
tar -C root -cf layer.tar .
umoci --log error raw add-layer --image oci/i:latest layer.tar
tar -C oci/i -cf good.tar .
# a store of its own: what is loaded here is nobody else's
berth system stop >/dev/null
BERTH_IMAGES=$test_dir/images
run berth image load -i good.tar --tag good
is "$code" 0 "a good archive loads" || echo "# $out"

# stored: all but locks and the notes of who uses what, which berthd writes in its own time
stored() {
        find images -type f ! -name '*.lock' ! -path 'images/users/*' | sort
}
before=$(stored)

# bad_archive FILE REGEX NAME
bad_archive() {
        run berth image load -i "$1" --tag bad
        [ "$code" != 0 ]
        ok $? "$3 is refused"
        like "$out" "$2" "$3: the message"
        is "$(stored)" "$before" "$3: nothing is left of it"
}

head -c 3000 good.tar >short.tar
bad_archive short.tar '[Tt]runcated|unexpected end|ends' "a truncated archive"

cp -r oci/i oci/d
blob=$(jq -r '.manifests[0].digest' oci/d/index.json | cut -d: -f2)
layer=$(jq -r '.layers[0].digest' "oci/d/blobs/sha256/$blob" | cut -d: -f2)
printf 'X' | dd of="oci/d/blobs/sha256/$layer" bs=1 seek=20 conv=notrunc 2>/dev/null
tar -C oci/d -cf digest.tar .
bad_archive digest.tar "sha256:$(printf %.8s "$layer").*.*damaged" "a layer digest mismatch"

# evil MEMBER-MAKING-PERL NAME REGEX: a layer whose tar has a hostile member; refused when unpacked
evil() {
        perl -e '
                sub member { my ($name, $type, $link) = @_;
                        my $h = pack("a100 a8 a8 a8 a12 a12 A8 a1 a100 a6 a2 a32 a32 a8 a8 a155 x12", $name, "0000644", "0000000",
                                "0000000", "00000000000", "00000000000", "", $type, $link, "ustar", "00", "", "", "", "", "");
                        substr($h, 148, 8) = sprintf("%06o\0 ", unpack("%32C*", $h));
                        return $h }
                print member(@ARGV), "\0" x 1024' "$1" "$2" "$3" >evil.tar
        rm -rf oci/e
        umoci --log error init --layout oci/e
        umoci --log error new --image oci/e:latest
        umoci --log error raw add-layer --image oci/e:latest evil.tar
        tar -C oci/e -cf evil-image.tar .
        run berth image load -i evil-image.tar --tag evil
        if [ "$code" = 0 ]; then
                printf 'name: evil\nservices: {web: {image: evil, command: /x}}\n' >bad.yaml
                run berth apply -f bad.yaml --timeout 20s
                berth delete evil >/dev/null 2>&1
                berth image rm evil >/dev/null 2>&1
        fi
        [ "$code" != 0 ]
        ok $? "$4 is refused"
        like "$out" "$5" "$4: the message"
        [ ! -e "$test_dir/escaped" ] && [ ! -e /tmp/berth-escaped ]
        ok $? "$4: nothing is written to the host"
}
evil "../../../../../../../tmp/berth-escaped" 0 "" "a member above the root" '\.\./'
evil "/../tmp/berth-escaped" 0 "" "an absolute member above the root" '\.\.'
evil "passwd" 1 "../../../../etc/passwd" "a hard link to outside" 'passwd'
finish
