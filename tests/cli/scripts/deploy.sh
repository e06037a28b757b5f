#!/bin/sh
# A user's script around sops: it makes, deploys, backs up and rotates the secrets of a shop. It prints everything in the
# clear or as a count, so that two runs of it can be compared. RECIPIENT and SECOND are age recipients, whose keys it has.
set -eu

say() { printf '%s\n' "$*"; }
code() { # the exit code of a command that may fail, and nothing else
	rc=0
	"$@" >/dev/null 2>&1 || rc=$?
	say "$rc: $(basename "$1") $2"
}
sum() { sha256sum | cut -c1-16; }

cat >.sops.yaml <<END
creation_rules:
  - path_regex: \.env$
    age: $RECIPIENT
  - path_regex: k8s/.*\.yaml$
    encrypted_regex: ^(data|stringData)$
    age: $RECIPIENT,$SECOND
  - path_regex: \.(yaml|json|ini|bin)$
    age: $RECIPIENT
END
mkdir -p k8s backup

say "== make"
cat >k8s/db.yaml <<'END'
apiVersion: v1
kind: Secret
metadata:
    name: db
stringData:
    password: hunter2
    url: postgres://shop:hunter2@db/shop?sslmode=require
END
sops --encrypt --in-place k8s/db.yaml
grep -c 'ENC\[' k8s/db.yaml
grep 'name:' k8s/db.yaml
printf 'API_KEY=abc=123\nDEBUG=false\n# a comment\nMOTD=hello there\n' | sops encrypt --filename-override app.env >app.env.new
mv app.env.new app.env
sops encrypt --input-type json --output-type json --filename-override conf.json /dev/stdin >conf.json <<'END'
{
	"port": 5432,
	"ratio": 0.5,
	"on": true,
	"hosts": [
		"a",
		"b"
	],
	"none": null,
	"hint": "quoted \"so\""
}
END
head -c 3000 /dev/zero | tr '\0' '\377' >cert.bin
sops -e -i cert.bin
printf '[main]\nuser = shop\npass = s3cret\n' >my.ini
sops -e my.ini >my.enc.ini && mv my.enc.ini my.ini

say "== read"
sops -d k8s/db.yaml
sops decrypt --extract '["stringData"]["password"]' k8s/db.yaml; say
sops -d --extract '["hosts"][1]' conf.json; say
sops -d --output-type yaml conf.json
sops decrypt app.env
sops -d my.ini
sops -d cert.bin | sum
sops decrypt --input-type yaml --output-type json k8s/db.yaml
PASSWORD=$(sops -d --extract '["stringData"]["password"]' k8s/db.yaml)
say "the password has ${#PASSWORD} letters"
if sops filestatus k8s/db.yaml | grep -q '"encrypted":true'; then say "it is encrypted"; fi
sops filestatus .sops.yaml

say "== change"
sops set k8s/db.yaml '["stringData"]["password"]' '"correct horse"'
printf '"from standard input"' | sops set --value-stdin k8s/db.yaml '["stringData"]["token"]'
printf '{"host": "db", "port": 5432}' >value.json
sops set --value-file conf.json '["db"]' value.json
rm value.json
sops set conf.json '["hosts"][2]' '"c"'
sops --set '["port"] 6000' conf.json
sops unset conf.json '["none"]'
sops set --idempotent conf.json '["on"]' true
sops unset --idempotent conf.json '["gone"]'
sops set app.env '["DEBUG"]' '"true"'
EDITOR='sed -i s/hello/good-day/' sops edit app.env
EDITOR='sed -i s/s3cret/n3w/' sops my.ini
sops -d k8s/db.yaml
sops -d conf.json
sops -d app.env
sops -d my.ini

say "== run"
sops exec-env app.env 'echo "$API_KEY $DEBUG $MOTD"'
sops exec-env --pristine app.env 'echo "$API_KEY ${RECIPIENT-unset}"'
sops exec-file k8s/db.yaml 'grep -c password {}'
sops exec-file --no-fifo --filename db.yaml k8s/db.yaml 'basename {}; wc -l <{}; wc -l <{}'
sops exec-file --output-type dotenv app.env 'cat {}' | sort
code sops exec-env app.env 'exit 7'
sops exec-env app.env 'sops exec-file my.ini "cat {}; echo \$API_KEY"'

say "== backup"
for file in k8s/db.yaml app.env conf.json my.ini cert.bin; do
	sops -d "$file" | sum
	cp "$file" "backup/$(basename "$file")"
done
sops decrypt --output backup/plain.json conf.json
sum <backup/plain.json
rm backup/plain.json

say "== rotate"
before=$(grep -c recipient: k8s/db.yaml)
sops rotate -i --rm-age "$SECOND" k8s/db.yaml
say "$before recipients, then $(grep -c recipient: k8s/db.yaml)"
sops -r -i --add-age "$SECOND" my.ini
sops updatekeys -y conf.json >/dev/null 2>&1
sops rotate --in-place app.env
for file in k8s/db.yaml app.env conf.json my.ini; do
	sops -d "$file" | sum
	cmp -s "$file" "backup/$(basename "$file")" && say "same" || say "another"
done

say "== fail"
code sops -d none.yaml
code sops -d .sops.yaml
code sops -d --extract '["none"]' conf.json
code sops -d --extract none conf.json
code sops -e k8s/db.yaml
say text >unruled.txt
code sops -e unruled.txt
code sops encrypt gone.txt
code sops set conf.json '["port"]' nonsense
code sops set conf.json '["port"]'
code sops unset conf.json '["gone"]'
code sops decrypt --nonsense conf.json
code sops decrypt -i --output x conf.json
code sops rotate none.yaml
code sops exec-env none.env true
code sops exec-env k8s/db.yaml true
EDITOR=true code sops edit conf.json
EDITOR=false code sops edit conf.json
sed -i 's/"port": "ENC\[AES256_GCM,data:..../"port": "ENC[AES256_GCM,data:AAAA/' conf.json
code sops -d conf.json
code env -u SOPS_AGE_KEY_FILE sops -d my.ini
sed 's/name: db/name: other/' k8s/db.yaml >k8s/moved.yaml
code sops -d k8s/moved.yaml
sops -d --ignore-mac k8s/moved.yaml | grep name:
ls -A . backup
