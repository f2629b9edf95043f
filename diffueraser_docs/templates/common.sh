# What the three scripts share: messages, config.env, folders, steps, locks, job state. Sourced, not run.
# shellcheck shell=bash
! grep -q $'\r$' common.sh || { printf '%s\n' "ERROR[crlf] CRLF lines. Fix: sed -i 's/\r\$//' *.s*" >&2 && exit 1; } #
# The ERR trap holds in functions too; an exported SHELLOPTS or BASHOPTS does not: a trace would show the token.
set -E +Cfkvx +o posix && shopt -u failglob nullglob dotglob nocaseglob nocasematch

# --- from the facts ---
TOKEN_PAGE=<{ hub.token_page }> DEFAULT_ENDPOINT=<{ hub.endpoint }>
# What setup unpacks or links below <{ project.roots['non-prompt'] }>: mark, repository, path in it, folder, members.
# shellcheck disable=SC2034 # read by the other scripts
LAUNCH='bash setup_and_train.sbatch' DATA=(
<{ data_rows() }>
)
# What clean_environment leaves.
KEPT='^(HF_(TOKEN|ENDPOINT|ORG|REVISION|HUB_DOWNLOAD_TIMEOUT)|UV_(HTTP_TIMEOUT|CACHE_DIR|PYTHON_INSTALL_MIRROR))$'
SECRET=(HF_TOKEN WANDB_API_KEY PYPI_MIRROR CONDA_CHANNEL UV_PYTHON_INSTALL_MIRROR)
COPY_FIX='Copy the five files into one folder.' OWN_FIX='Use a folder and a config.env of your own.'
FOLDER_FIX='Look at its owner, rights, disk and quota.'
# Names that belong elsewhere: of sbatch, of the environment.
OPTION_NAMES='^(CONSTRAINT|EXCLUDE|NODELIST|LICENSES?|FEATURES?|PRIORITY|NICE|CLUSTERS?|DEPENDENCY|GRES|MEM)$'
ENVIRONMENT_NAMES='^(MASTER|NCCL|CUDA|TORCH|SLURM|SBATCH|WANDB|OMP|SSL|CURL|GLOO|UCX)_|_PROXY$'

# --- messages: 2026-01-31 12:00:00  ERROR[id] What happened. Fix: what to do. ---

log() { printf '%(%F %T)T  %s\n' -1 "$(printable "$*")"; }
note() { log "NOTE  $*" >&2; }

printable() { # printable TEXT: one line, no control characters, no secrets
    local text=${1//[[:cntrl:]]/ } secret
    while [[ $text =~ hf_[A-Za-z0-9]{6,} ]]; do text=${text//"${BASH_REMATCH[0]}"/hf_***}; done
    for secret in "${HF_TOKEN:-}" "${WANDB_API_KEY:-}"; do ((${#secret} < 8)) || text=${text//"$secret"/***}; done
    while [[ $text =~ //[^[:space:]]*@ ]]; do text=${text//"${BASH_REMATCH[0]}"/"//***:"}; done # user:password@host
    printf '%s' "$text"
}

problem() { PROBLEMS+=("ERROR[$1] $2 Fix: $3"); } # problem ID WHAT FIX: reported together with all others

value_problem() { # value_problem ID NAME WHY [FIX]
    local where="config.env line ${ORIGIN[$2]}" shown="$2=${!2}" fix="Correct $2 in config.env."
    [[ ! $2 =~ TOKEN|KEY ]] || shown=$2
    INVALID[$2]=yes
    case ${ORIGIN[$2]} in
        environment) where="From the environment (to forget it: unset $2)" fix="Correct $2." ;;
        default) where='By default' ;;
    esac
    problem "$1" "$where: $shown: $3." "${4:-$fix}"
}

report_problems() {
    local text
    ((${#PROBLEMS[@]})) || return 0
    for text in "${PROBLEMS[@]}"; do log "$text" >&2; done
    REPORTED=yes
    exit 1
}

die() { problem "$@" && report_problems; } # die ID WHAT FIX

on_exit() { # ends what this script started; no failure is without an ERROR line
    local status=$? pid
    trap '' ERR TERM USR1
    for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
    wait || true
    ((status == 0)) || [[ -n $REPORTED ]] || log "ERROR[unexpected] Status $status at ${FAILED_AT:-an unknown line}." \
        "Fix: submit again, finished steps are skipped; if it comes again, send this log to the maintainers." >&2
}

# What tools print when they fail: id, pattern of the telling line, fix. The first row that matches decides.
CAUSES=(
<{ cause_rows() }>
)
ERRORS='([Ff]atal|[Ee]rror|ERROR|Exception): |^(([A-Za-z_0-9]+\.)+[A-Z]|[A-Z][a-z]+[A-Z])[A-Za-z]+: |^ +[^ -~]+ [A-Z]'
NOISE='^[^A-Za-z]*$|^Hint: |Exiting with failure|is not recoverable|_step_signal|: tasks? [0-9,-]+: (Kill|Term|Abort)'
NOISE+='|Exited with exit code|ChildFailedError|CalledProcessError|^\[notice\]|^ *File "|forcefully exiting|^wandb: '
NOISE+='|[*] STEP .* AT .* [*]|Timed out waiting for job step|^critical libmamba Could not|Child returned status'
NOISE+='|No matching distribution|versions: none|(\[rank|gloo).*(closed|reset) by peer|RUST_BACKTRACE'

telling_line() { # telling_line FILE [PATTERN]: the line of a tool's output that names the cause
    local text line next
    text=$(tail -c 60000 "$1" 2>/dev/null | tr '\r' '\n' | tr -d '\000' |
        awk '/ trainer starts at / { text = ""; next } { text = text $0 "\n" } END { print text }' | # the last start
        sed -E 's/\x1b\[[0-9;]*[A-Km]//g; s/^[0-9]+: //; s/^[^ ]*: line [0-9]+: //' | grep -avE "$NOISE") || return 0
    line=$(grep -aE "${2:-$ERRORS}" <<<"$text" | tail -n 1) || line=${text##*$'\n'}
    next=${text#*"$line"} next=${next#$'\n'} next=${next%%$'\n'*}
    if [[ $line == *: || $next == *'Caused by'* ]]; then line+=" ${next#"${next%%[! ]*}"}"; fi
    printf '%s' "$line"
}

find_cause() { # find_cause LOG: sets CAUSE to its telling line, ROW to the row of CAUSES, if one matches
    for ((ROW = 0; ROW < ${#CAUSES[@]}; ROW += 3)); do
        CAUSE=$(telling_line "$1" "${CAUSES[ROW + 1]}") && [[ $CAUSE =~ ${CAUSES[ROW + 1]} ]] && return
    done
    CAUSE=$(telling_line "$1")
    return 1
}

die_with_cause() { # die_with_cause LOG ID WHAT FIX: quotes LOG; a cause that is known has its own id and fix
    local id=$2 fix=$4
    if find_cause "$1"; then id=${CAUSES[ROW]} fix=${CAUSES[ROW + 2]}; fi
    ((${#CAUSE} <= 300)) || CAUSE="${CAUSE:0:150} ... ${CAUSE: -150}"
    die "$id" "$3${CAUSE:+: ${CAUSE%.}}." "$fix See $1."
}

run() { # run NAME COMMAND…: output goes to logs/NAME.log; in the background, so that a signal is heard at once
    TOOL_LOG=$LOGS/$1.log
    "${@:2}" >"$TOOL_LOG" 2>&1 </dev/null &
    wait "$!" 2>/dev/null || {
        local status=$?
        [[ ! $status =~ ^13[2579]$ ]] || echo "Ended by SIG$(kill -l "$status")" >>"$TOOL_LOG"
        return "$status"
    }
}

pause() { read -r -t "$1" _ <> <(:) || true; } # pause SECONDS: without a process that outlives this one, with its locks

must() { # must ID WHAT FIX COMMAND…: dies of the error ID if the command fails
    run "$1" "${@:4}" || die_with_cause "$TOOL_LOG" "$1" "$2" "$3"
}

make_folder() { must project-home "A folder could not be made" "Remove it if it is a broken link." mkdir -p "$@"; }
remove() { must move-failed "$1 could not be removed" "Submit again." rm -rf "$1"; }
rename() { must move-failed "$1 could not be renamed" "Submit again." mv -T "$1" "$2"; }

clean_environment() { # what the user's shell and modules export does not reach the tools
    local name
    for name in BASH_ENV ENV CDPATH FUNCNEST GREP_OPTIONS POSIXLY_CORRECT TAR_OPTIONS GZIP XZ_OPT VIRTUAL_ENV RANK \
        LOCAL_RANK WORLD_SIZE CONDA_OFFLINE CONDA_SUBDIR ${!MASTER_@} ${!UV_@} \
        ${!PIP_@} ${!GIT_@} ${!PYTHON@} ${!HF_@} ${!HUGGI@} ${!CURL_H@} ${!ACCEL@} ${!MAMBA@} ${!SQUEUE@} ${!SINFO@}; do
        [[ $name =~ $KEPT ]] || unset "$name"
    done
    export -n "${SECRET[@]}" # given to the one command that needs it
    export LC_ALL=C PYTHONUTF8=1 PYTHONNOUSERSITE=1
    if [[ -n ${SSL_CERT_FILE:-} ]]; then export CURL_CA_BUNDLE=$SSL_CERT_FILE PIP_CERT=$SSL_CERT_FILE; fi
    umask "$(printf '%03o' "$((8#$(umask) | 8#022))")"
}

# --- config.env: read, never sourced; the environment comes first, the default last ---

load_config() {
    read_values
    report_problems
    make_folders
}

read_values() {
    local name
    read_config
    choose_value TRAIN_VERSION
    for name in ${!STAGE1_@} ${!STAGE2_@}; do [[ -n ${PATTERN[$name]:-} ]] || unknown_name Environment "$name"; done
    for name in "${!PATTERN[@]}"; do choose_value "$name"; done
    PROJECT_HOME=${PROJECT_HOME:-$SCRIPTS}
    for name in "${!PATTERN[@]}"; do check_value "$name"; done
    HF_ENDPOINT=${HF_ENDPOINT%/}
    [[ -n $HF_TOKEN ]] || problem token-missing "HF_TOKEN is empty." "Put in the token from $TOKEN_PAGE"
    [[ -n ${INVALID[PROJECT_HOME]:-} ]] || check_folder
}

read_config() {
    local line number=0
    [[ -e config.env ]] || die config-missing "No config.env in $SCRIPTS." "$COPY_FIX"
    [[ -r config.env ]] || die config-owner "config.env belongs to $(stat -c %U config.env) and cannot be read." \
        "$OWN_FIX"
    ! grep -qaP '\x00|^\xff\xfe' config.env || die config-encoding \
        "config.env is UTF-16 or has NULs: line $(grep -naP -m 1 '\x00' config.env | cut -d: -f1)." "Save as UTF-8."
    ! grep -q $'\r' config.env || die config-crlf "config.env has CRLF line endings." "sed -i 's/\\r\$//' config.env"
    while IFS= read -r line || [[ -n $line ]]; do
        number=$((number + 1))
        [[ $line =~ ^[[:space:]]*(#|$) ]] || read_assignment "$number" "$line"
    done <config.env
}

read_assignment() { # read_assignment NUMBER LINE: NAME=value, "value" or 'value'
    local name value where="config.env line $1" form='^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)='
    form+='("([^"]*)"|'\''([^'\'']*)'\''|([^[:space:]"'\''#]*))[[:space:]]*(#.*)?$'
    if [[ ${2%%#*} != *\[* && ${2%%#*} =~ ^([$'\t'\ -~]*)[^$'\t'\ -~] ]]; then
        problem config-space "$where: unusual character (as U+00A0 or U+3000) at column $((${#BASH_REMATCH[1]} + 1))." \
            "Remove it, or write a plain one."
        return
    elif [[ ! $2 =~ $form ]]; then
        problem config-syntax "$where is not NAME=value." "No spaces around =, quotes around a value with spaces."
        return
    fi
    name=${BASH_REMATCH[2]} value=${BASH_REMATCH[4]}${BASH_REMATCH[5]}${BASH_REMATCH[6]}
    if [[ -z ${PATTERN[$name]:-} ]]; then
        unknown_name "$where" "$name"
    elif [[ -n ${LINE[$name]:-} ]]; then
        problem config-duplicate "$name is set twice (lines ${LINE[$name]} and $1)." "Remove one of the two lines."
    elif [[ $value == *[\$\`]* ]]; then
        problem config-expansion "$where: $name holds \$ or \`, and nothing is expanded here." "Write the value out."
    elif [[ $value == *[\;,] || $value == hf_*. ]]; then
        problem config-syntax "$where: \"${value: -1}\" at the end of $name." "Remove it."
    else
        LINE[$name]=$1 FROM_FILE[$name]=$value
    fi
}

unknown_name() { # unknown_name WHERE NAME
    local like size fix="The page Configuration lists all names."
    if [[ ${2^^} == SKIP_REPAIRS ]]; then
        fix="Its new name is SKIP_PATCHES."
    elif [[ ${2^^} =~ $OPTION_NAMES ]]; then
        fix="Options of sbatch go into SETUP_SBATCH_OPTIONS and TRAIN_SBATCH_OPTIONS=\"--${2,,}=value\"."
    elif [[ ${2^^} =~ $ENVIRONMENT_NAMES ]]; then
        fix="It is a variable of the environment: export it before the command."
    else
        for ((size = ${#2}; size > 3; size--)); do
            like=$(printf '%s\n' "${!PATTERN[@]}" | grep -ie "${2:0:size}" -e "${2: -size}" | sort |
                head -n 3 | xargs) || continue
            fix="Similar names: $like." size=0
        done
    fi
    problem config-unknown "$1: there is no variable $2." "$fix"
}

choose_value() {
    local name=$1 default=${DEFAULT[$1]}
    if [[ $default == *'|'* ]]; then # non-prompt|prompt
        if [[ ${TRAIN_VERSION:-} == prompt ]]; then default=${default#*|}; else default=${default%%|*}; fi
    fi
    if [[ -n ${ORIGIN[$name]:-} ]]; then
        return
    elif [[ -n ${!name:-} ]]; then
        ORIGIN[$name]=environment
    else
        printf -v "$name" '%s' "${FROM_FILE[$name]:-$default}"
        ORIGIN[$name]=${LINE[$name]:-default}
    fi
}

check_value() {
    local name=$1 value=${!1} pattern=${PATTERN[$1]}
    [[ $name != HF_TOKEN || ${HF_ENDPOINT%/} == "$DEFAULT_ENDPOINT" ]] || pattern='<{ facts.configuration.kinds['mirror_token'].pattern }>'
    if [[ $name == HF_TOKEN && (! $value =~ ^($pattern)?$ || $value == hf_your*) ]]; then
        value_problem token-invalid HF_TOKEN "must be ${DESCRIPTION[$name]}" "Put in the one from $TOKEN_PAGE"
    elif [[ ! $value =~ ^($pattern)?$ || $name != HF_TOKEN && $value =~ ^hf_[A-Za-z0-9]{30} ]]; then
        value_problem config-value "$name" "must be ${DESCRIPTION[$name]}$([[ $value != hf_* ]] || echo ", no token")"
    fi
}

check_folder() { # PROJECT_HOME, and the folder of the scripts: Slurm and Python stumble over some characters
    local folder=$PROJECT_HOME
    [[ $SCRIPTS =~ ^(${PATTERN[PROJECT_HOME]})$ ]] || problem scripts-folder \
        "The scripts lie in \"$SCRIPTS\", a name with a space or special character." "Move them to another folder."
    until [[ -e $folder ]]; do folder=$(dirname "$folder"); done
    [[ -d $folder && -w $folder ]] || value_problem project-home PROJECT_HOME "this folder cannot be written to"
}

make_folders() {
    { mkdir -p "$PROJECT_HOME"/{<{ project.state }>,<{ project.logs }>} &&
        [[ -z $(find "$PROJECT_HOME"/{<{ project.state }>{,/lock-*},<{ project.logs }>} -maxdepth 0 ! -type l ! -writable) ]]; } 2>/dev/null ||
        die project-home "Logs and locks cannot be written in PROJECT_HOME=$PROJECT_HOME." "$FOLDER_FIX"
    PROJECT_HOME=$(cd "$PROJECT_HOME" && pwd)
    LOGS=$PROJECT_HOME/<{ project.logs }> STATE=$PROJECT_HOME/<{ project.state }> CACHE=$PROJECT_HOME/.cache
    DATA_ROOT=$PROJECT_HOME/<{ project.roots['non-prompt'] }> PROJECT_ROOT=$DATA_ROOT
    [[ $TRAIN_VERSION == non-prompt ]] || PROJECT_ROOT=$PROJECT_HOME/<{ project.roots['prompt'] }>
    export PROJECT_HOME DATA_ROOT XDG_CACHE_HOME=$CACHE HF_HOME=$CACHE/huggingface # nothing is written to HOME
    ENVIRONMENT=$PROJECT_HOME/<{ project.environments }>/<{ environment.name }> PYTHON=$ENVIRONMENT/bin/python
    [[ ! -O config.env ]] || chmod 600 config.env 2>/dev/null || true # it holds the token
}

open_log() { # open_log NAME: in a job, the output goes to logs/
    local log=$LOGS/$1-${SLURM_JOB_ID:-}.log
    [[ ! ${SLURM_JOB_NAME:-} =~ ^diffueraser-[a-z]+$ ]] || log=$LOGS/$SLURM_JOB_NAME-${SLURM_JOB_ID:-}.log
    [[ -n ${SLURM_JOB_ID:-} && ! -t 1 && ! /dev/stdout -ef $log ]] || return 0
    log "The log is $log"
    exec >>"$log" 2>&1
}

# --- steps, locks and jobs ---

mark_done() { # mark_done STEP TEXT: by rename, never half
    { printf '%s\n' "$2" >"$STATE/$1.tmp-$$" && mv -f "$STATE/$1"{.tmp-$$,}; } 2>/dev/null ||
        die project-home "$STATE/$1 cannot be written." "$FOLDER_FIX"
}

# is_done STEP FINGERPRINT, is_intact STEP FOLDER…; bash warns of the zeros that a crash leaves in a mark.
is_done() { [[ -f $STATE/$1 && $(<"$STATE/$1") == "$2"* ]]; } 2>/dev/null
is_intact() { [[ -f $STATE/$1 && $(<"$STATE/$1") == *"; $(count_files "${@:2}")" ]]; } 2>/dev/null

run_once() { # run_once STEP FINGERPRINT COMMAND…: skips what was finished with the same fingerprint
    if is_done "$1" "$2"; then
        log "$1: done before"
    else
        rm -f "$STATE/$1"
        "${@:3}"
        mark_done "$1" "$2"
    fi
}

count_files() { # count_files FOLDER…: what a mark of data holds, because disks are purged by age
    find -H "$@" -type f -printf '%s\n' 2>/dev/null | awk '{ s += $1 } END { printf "%d files, %.0f bytes", NR, s }'
}

free_gb() { # free_gb FOLDER: empty where the disk does not say
    local folder=$1
    until [[ -e $folder ]]; do folder=$(dirname "$folder"); done
    df -Pk "$folder" 2>/dev/null |
        awk 'match($0, / [0-9]+ +[0-9]+% /) { printf "%d", substr($0, RSTART) * 1.024e-6 }' || true
}

check_imports() { # a module's LD_LIBRARY_PATH can break torch
    local path=${LD_LIBRARY_PATH:-}
    if run imports "$PYTHON" -c "$IMPORTS"; then return; fi
    unset LD_LIBRARY_PATH
    if [[ -n $path ]] && run imports "$PYTHON" -c "$IMPORTS"; then
        note "LD_LIBRARY_PATH=$path breaks the training environment and is unset."
        return
    fi
    if ! find_cause "$TOOL_LOG"; then rm -f "$STATE/environment" "$STATE"/setup-*; fi # it is built again
    die_with_cause "$TOOL_LOG" environment-broken "The training environment does not work" \
        "${path:+Is LD_LIBRARY_PATH right? }$SETUP_FIX."
}
<{ import_line() }>
SETUP_FIX='Run setup again: sbatch 01_setup.sbatch'

acquire_lock() { # acquire_lock NAME FIX: held on an open file until the last process of this script has ended
    local status=0 lock owner
    exec {lock}>>"$STATE/lock-$1"
    flock --timeout 10 --conflict-exit-code 75 "$lock" 2>/dev/null || status=$?
    owner="${SLURM_JOB_ID:+job $SLURM_JOB_ID of cluster ${SLURM_CLUSTER_NAME:-?}, }process $$ on $(uname -n)"
    ((status != 75)) || die locked "$1 is being done by $(<"$STATE/lock-$1")." "$2"
    ((status == 0)) || note "Locks do not work on this disk (flock: $status): do not run this script twice at once."
    echo "$owner" >"$STATE/lock-$1"
}

is_running() { # this job, or Slurm does not answer
    local said
    said=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T 2>&1) || [[ $said == *'Invalid job id'* ]] || return 0
    [[ $said =~ RUNNING|SIGNALING|SUSPENDED ]]
}

stage1_identity() { # the checksums of its files, whatever else weights.json holds
    sed -n '/^  "sha256"/,$p' "$PROJECT_ROOT/<{ project.converted }>/finetuned-stage1/weights.json" | sha256sum | cut -c1-64
}

# --- type and default of each variable (non-prompt|prompt where they differ) ---

declare -A PATTERN=() DESCRIPTION=() DEFAULT=() LINE=() FROM_FILE=() ORIGIN=() INVALID=()
PROBLEMS=() FLAGS=() REPORTED='' FAILED_AT=''

define() { # define PATTERN DESCRIPTION NAME=DEFAULT…; --flag=DEFAULT stands for the flag of both stages
    local entry flag
    for entry in "${@:3}"; do
        if [[ $entry == --* ]]; then
            flag=${entry%%=*} flag=${flag#--}
            FLAGS+=("$flag")
            entry=${entry#*=} # STAGE1 // STAGE2 where they differ
            define "$1" "$2" "STAGE1_${flag^^}=${entry%% // *}" "STAGE2_${flag^^}=${entry##* // }"
        else
            PATTERN[${entry%%=*}]=$1 DESCRIPTION[${entry%%=*}]=${2:-one of ${1//|/, }} DEFAULT[${entry%%=*}]=${entry#*=}
        fi
    done
}

<{ definitions() }>

trap on_exit EXIT
trap 'FAILED_AT="line $LINENO of ${BASH_SOURCE[0]##*/}"' ERR
SCRIPTS=$(pwd -P)
clean_environment
