# shellcheck shell=bash
# Sourced by tpu/slice.sh, tpu/gke.sh and slurm/submit.sh: flags, and commands that are printed before
# they are run, or, with --dry_run, only printed. What the commands are is the scripts' business.
#
# A script gives each of its flags a variable of the same name, whose value is the flag's default;
# one that is `false` is a switch.

project_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
dry_run=false
command=() # what follows -- on the command line

# show_help: prints the comment at the script's head, and exits.
show_help() {
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
  exit 0
}

# fail TEXT: says what is wrong with the command line, and exits with 2.
fail() {
  echo "$(basename "$0"): $1 (--help lists the flags)" >&2
  exit 2
}

# read_flags "FLAG..." ARGUMENT...: sets the flags' variables from `--FLAG VALUE` and `--FLAG=VALUE`.
read_flags() {
  local known=" $1 dry_run " flag
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    flag=${1%%=*}
    flag=${flag#--}
    [ "$1" != --help ] || show_help
    [[ $1 == --* && $known == *" $flag "* ]] || fail "there is no flag $1"
    if [[ ${!flag} == false || ${!flag} == true ]]; then # a switch, whose value is run as a command
      case $1 in
        "--$flag" | *=true) printf -v "$flag" true ;;
        *=false) printf -v "$flag" false ;;
        *) fail "$1: expected true or false" ;;
      esac
    elif [[ $1 == *=* ]]; then
      printf -v "$flag" %s "${1#*=}"
    else
      [[ $# -gt 1 && $2 != --* ]] || fail "$1 has no value"
      printf -v "$flag" %s "$2"
      shift
    fi
    shift
  done
  [ $# -lt 2 ] || command=("${@:2}")
}

# need FLAG...: fails, naming those that have no value.
need() {
  local flag missing=()
  for flag in "$@"; do
    [ -n "${!flag}" ] || missing+=("--$flag")
  done
  [ ${#missing[@]} -eq 0 ] || fail "missing: ${missing[*]}"
}

# need_counts FLAG...: fails, naming the first whose value is no positive whole number.
need_counts() {
  local flag
  for flag in "$@"; do
    [[ ${!flag} =~ ^[1-9][0-9]*$ ]] || fail "--$flag ${!flag}: expected a positive whole number"
  done
}

# name_bucket: leaves of $bucket, which may be gs://NAME/, the name: a folder of one is not mounted.
name_bucket() {
  local given=$bucket
  bucket=${bucket#gs://}
  bucket=${bucket%/}
  [[ -z $given || $bucket =~ ^[^/]+$ ]] || fail "--bucket $given: expected a bucket, such as gs://my-runs"
}

need_command() {
  [ ${#command[@]} -gt 0 ] || fail "missing: -- and the command to run after it"
}

# quoted WORD...: one line that any shell reads as these words.
quoted() {
  local word line='' quote="'" escaped="'\\''"
  for word in "$@"; do
    case $word in
      '' | *[!A-Za-z0-9_@%+=:,./-]*) word="'${word//$quote/$escaped}'" ;;
    esac
    line+="${line:+ }$word"
  done
  printf %s "$line"
}

# run WORD...: prints the command, then runs it unless this is a dry run.
run() {
  printf '%s\n' "$(quoted "$@")"
  $dry_run || "$@"
}

# pack_tree: the project as it is committed, as $archive.
archive="$project_root/build/prompt_tuning.tar.gz"
pack_tree() {
  run mkdir -p "$project_root/build"
  run git -C "$project_root" archive --format=tar.gz --output="$archive" HEAD
}
