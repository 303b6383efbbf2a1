# shellcheck shell=bash
# shellcheck disable=SC2154 # install.sh has the variables
# Makes a part of install.sh, and says where it failed.

# fail SENTENCE: ends a part
fail() {
  echo "$1"
  echo "${BASH_SOURCE[1]##*/}, line ${BASH_LINENO[0]}: $1" > "$run/failure"
  exit 1
}

# call COMMAND...: the log shows it with what it prints
call() {
  echo "\$ $*"
  "$@"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    call "$@"
  elif command -v sudo > /dev/null; then
    call sudo "$@"
  else
    fail "This needs root, and there is no sudo: run it as root, or install sudo."
  fi
}

# note_failure LINE COMMAND ARGUMENTS EXIT_CODE: of the innermost command, which comes first
note_failure() {
  local line=$1 command=$2 frame=1
  if [ -e "$run/failure" ]; then return; fi
  while [[ ${FUNCNAME[frame]} =~ ^(call|as_root|apt_get)$ ]]; do # these run their arguments
    command=$3
    line=${BASH_LINENO[frame]}
    frame=$((frame + 1))
  done
  echo "${BASH_SOURCE[frame]##*/}, line $line, with exit code $4: $command" > "$run/failure"
}

# make_part PART: into its log
make_part() {
  rm -f "$run/failure"
  (
    set -eE
    trap 'note_failure "$LINENO" "$BASH_COMMAND" "$*" "$?"' ERR
    "part_$1"
  ) > "$folder/logs/$1" 2>&1
}

explain() { # PART
  printf '\nThe part %s failed, in %s\n' "$1" "$(cat "$run/failure" 2> /dev/null || echo "install.sh:")"
  printf 'The end of %s:\n' "$folder/logs/$1"
  tail -n 15 "$folder/logs/$1" | sed 's/^/    /'
}
