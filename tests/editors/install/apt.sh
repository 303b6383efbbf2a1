# shellcheck shell=bash
# shellcheck disable=SC2154 # install.sh has the variables
# What install.sh does with apt.

apt_get() { # without a question
  as_root env DEBIAN_FRONTEND=noninteractive ${APT_CONFIG:+"APT_CONFIG=$APT_CONFIG"} \
    apt-get -y -q -o DPkg::Lock::Timeout=300 "$@"
}

# Reads the system's package lists, once a run. Another apt can hold them, as on a machine that has just started; and a
# source that can't be read can be one that isn't needed.
update_lists() {
  if [ -e "$run/updated" ]; then return; fi
  local tries=0
  until apt_get update || [ $((tries += 1)) = 3 ]; do sleep 10; done
  touch "$run/updated"
}

# apt_install [OPTION...] PACKAGE...: nothing but what is needed, and nothing of the user's goes
apt_install() {
  say "apt: $*"
  apt_get --no-install-recommends --no-remove install "$@"
}

# candidate PACKAGE: the number that its version in the system's Debian begins with; 0 where it has none
candidate() {
  local version
  version=$(apt-cache policy "$1" | sed -n 's/ *Candidate: \([0-9]*:\)\?\([0-9]*\).*/\2/p')
  echo "${version:-0}"
}

codename() { # of the system's release
  # shellcheck source=/dev/null
  (. /etc/os-release && echo "$VERSION_CODENAME")
}

# Where other releases of Debian can be had from: the system's own mirrors, of which some can lack it. A bare system
# knows them once it has package lists.
mirrors() {
  # shellcheck disable=SC2016 # apt's variable
  local site=(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian')
  if [ -z "$("${site[@]}" || :)" ]; then update_lists >&2; fi
  { "${site[@]}" || :; } | sed -n '/^http/s|/*$||p' | awk '!known[$0]++'
}

# use_release RELEASE FOLDER: apt knows that release of Debian as well; its lists are kept in FOLDER
use_release() {
  local mirror known
  known=$(APT_CONFIG='' mirrors) # of the system, whose lists they are read from
  mkdir -p "$2"/{lists,archives}/partial
  chmod -R a+rX "$2"
  cat > "$2/apt.conf" << CONF
Dir::Etc::SourceList "$2/sources.list"; Dir::State::Lists "$2/lists"; Dir::Cache::Archives "$2/archives";
APT::Sandbox::User "root";          // the folder is ours, not the user _apt's
Acquire::Check-Valid-Until "false"; // a slow mirror's testing can be past its date
CONF
  export APT_CONFIG=$2/apt.conf
  for mirror in $known; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" > "$2/sources.list"
    # Of this release alone, since a source of the user's that can't be read is no fault of the mirror
    if call apt-get -q -o Dir::Etc::SourceParts=/dev/null --error-on=any update; then return; fi
  done
  fail "Debian's release $1 can be had from none of: ${known//$'\n'/ }"
}

# unpack RELEASE PACKAGE: that package of another Debian release and all it depends on, libc too, into this folder.
# The system's packages are neither used nor changed.
unpack() {
  local work package
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$work'" EXIT
  use_release "$1" "$work"
  : > "$work/nothing-installed"
  cat >> "$work/apt.conf" << CONF
Dir::Etc::SourceParts "/dev/null"; Dir::Etc::PreferencesParts "/dev/null"; Debug::NoLocking "true";
Dir::State::Status "$work/nothing-installed"; Dir::Cache "$work"; APT::Keep-Downloaded-Packages "true";
CONF
  call apt-get -y -q --no-install-recommends --download-only install "$2"
  for package in "$work"/archives/*.deb; do call dpkg-deb -x "$package" .; done
}

# own_libraries PROGRAM: it runs with the loader and the libraries beside it, the system's may be older
own_libraries() {
  local libraries=$PWD/usr/lib/x86_64-linux-gnu
  patchelf --set-interpreter "$libraries/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$libraries" "$1"
}
