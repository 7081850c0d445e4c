#!/bin/sh
# Makes generated/ from proto/, with tools that only this needs and that therefore are no dependencies. Needs npm.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
cd "$tools"
npm init --yes >/dev/null
npm install --ignore-scripts --silent @bufbuild/buf@1.75.0 @bufbuild/protoc-gen-es@2.17.0
cat > buf.gen.yaml <<'Y'
version: v2
clean: true
plugins:
  - local: protoc-gen-es
    out: generated
    opt: [target=js+dts, import_extension=js]
Y
sed -i "s#out: generated#out: $here/generated#" buf.gen.yaml
PATH="$tools/node_modules/.bin:$PATH" buf generate "$here/proto" --template buf.gen.yaml
