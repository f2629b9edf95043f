#!/bin/bash
# One program for all names on PATH: answers as the case says (rules/NAME), else as a healthy cluster would.
here=@HERE@
name=${0##*/}
case $0 in
    */environments/diffueraser/bin/python) name=env-python ;;
    */environments/tools/hub/bin/python) name=hub-python ;;
    */environments/tools/bin/python) name=tools-python ;;
    */python*) name=python3 ;;
esac
said="$name ${*//$'\n'/ }"
printf '%s\n' "$said" >>"$here/calls"
for secret in HF_TOKEN WANDB_API_KEY; do
    [[ -z ${!secret:-} ]] || printf '%s %s\n' "$name" "$secret" >>"$here/secrets"
done
[[ $(export -p) != *s3cret* ]] || printf '%s password\n' "$name" >>"$here/secrets"
[[ ! -f $here/rules/$name ]] || source "$here/rules/$name"

make_environment() { # make_environment FOLDER
    mkdir -p "$1/bin"
    ln -sf "$here/stub" "$1/bin/python"
}

install() { # install FOLDER: what the scripts install into an environment
    case $1 in
        */hub) ln -sf "$here/stub" "$1/bin/hf" ;;
        */diffueraser) ln -sf "$here/stub" "$1/bin/accelerate" ;;
        *) ln -sf "$here/stub" "$1/bin/uv" ;;
    esac
}

value_of() { # value_of OPTION ARGUMENT…
    local option=$1
    while shift && (($#)); do
        case $1 in
            "$option="*) echo "${1#*=}" && return ;;
            "$option") echo "$2" && return ;;
        esac
    done
}

train() { # the checkpoint of the last step
    local output max
    output=$(value_of --output_dir "$@") max=$(value_of --max_train_steps "$@")
    mkdir -p "$output"
    cp -rL "$here/checkpoint" "$output/checkpoint-$max"
    [[ "$*" == *'--mixed_precision fp16'* ]] || rm "$output/checkpoint-$max/scaler.pt"
    printf 'Steps: 100%%|#| %s/%s [01:00<00:00, 2.00it/s, loss=0.5]\n' "$max" "$max"
}

hub_client() {
    local repository into
    case "$1 $2" in
        'datasets ls')
            cd "$here/hub/${3#*/}" && find . -type f -printf '%s  2026-01-02 03:04:05  %P\n' | sort -k 4
            ;;
        'download '*)
            repository=${2#*/} into=$(value_of --local-dir "$@")
            mkdir -p "$into" && cp -rnT "$here/hub/$repository" "$into"
            ;;
        *) ;;
    esac
}

case $name in
    sinfo)
        case "$*" in
            *%T*) printf '%s\n' 'compute* idle' 'gpu idle' ;;
            *) printf '%s\n' 'compute* (null) 2-00:00:00' 'gpu gpu:8 2-00:00:00' ;;
        esac
        ;;
    sbatch)
        if [[ "$*" == *--test-only* ]]; then
            echo 'sbatch: Job 1 to start at 2026-01-02T03:04:05 using 1 processors on nodes n1 in partition any' >&2
            exit
        fi
        dependency=$(value_of --dependency "$@")
        if [[ -n $dependency && ! $dependency =~ ^after(ok|any):[0-9]+$ ]]; then
            echo 'sbatch: error: Batch job submission failed: Job dependency problem' >&2
            exit 1
        fi
        number=$(($(cat "$here/number" 2>/dev/null || echo 99) + 1))
        echo "$number" >"$here/number"
        for script in "$@"; do [[ ! -f $script ]] || cp "$script" "$here/submitted-$number"; done
        [[ "$*" == *--parsable* ]] && echo "$number" || echo "Submitted batch job $number"
        ;;
    squeue)
        [[ "$*" == *--jobs=* ]] || exit 0
        if [[ "$*" == *"--jobs=${SLURM_JOB_ID:-none}"* ]]; then echo RUNNING && exit; fi
        echo 'slurm_load_jobs error: Invalid job id specified' >&2
        exit 1
        ;;
    scancel)
        for word in "$@"; do
            [[ $word =~ ^([0-9]+|-.*)$ ]] || { echo "scancel: error: Invalid job id $word" >&2 && exit 1; }
        done
        ;;
    scontrol)
        case "$1 $2" in
            'show hostnames') echo n1 ;;
            'show node') echo "NodeName=n1 NodeAddr=127.0.0.1 Gres=gpu:8" ;;
            *) ;;
        esac
        ;;
    sacct) exit 1 ;;
    srun)
        if [[ $1 == --help ]]; then echo '--overlap' && exit; fi
        while [[ $1 == --* ]]; do shift; done
        export SLURM_NODEID=0
        exec "$@"
        ;;
    nvidia-smi)
        for gpu in 0 1 2 3 4 5 6 7; do
            if [[ $1 == --list-gpus ]]; then echo "GPU $gpu: NVIDIA H100"; else echo 81559; fi
        done
        ;;
    df) printf '%s\n' 'Filesystem 1024-blocks Used Available Capacity Mounted on' 'store 9000000000 1 8999999999 1% /' ;;
    flock) exec /usr/bin/flock --timeout 0.3 "${@:3}" ;;
    curl)
        arguments=()
        for word in "$@"; do
            if [[ $word =~ ^https?://([^/]*example[^/]*|huggingface.co)(/.*)?$ ]]; then
                [[ -s $here/server ]] || { [[ "$*" != *--show-error* ]] || echo 'curl: (6) Could not resolve host' >&2; exit 6; }
                word=$(<"$here/server")${BASH_REMATCH[2]}
            elif [[ $word == https://* ]]; then
                exit 6
            fi
            arguments+=("$word")
        done
        exec /usr/bin/curl "${arguments[@]}"
        ;;
    python3 | *-python)
        case "$*" in
            *'-m venv '*) make_environment "${!#}" ;;
            '-m pip install '*) install "${0%/bin/*}" ;;
            --version) echo 'Python 3.9.19' ;;
            *torch.version.cuda*) echo 12.1 ;;
            *'import torch'* | *ensurepip*) ;;
            *importlib.metadata*) echo 'packages torch 2.3.1' ;;
            *'import ast'*) ;;
            *'import sys, zipfile'*) # the real libraries take a second; a case may ask for them
                for file in "${@:3}"; do
                    [[ -s $file && ($file == *.safetensors || $(tail -c 22 "$file" | head -c 2) == PK) ]] || exit 1
                done
                ;;
            *.save_checkpoint_stage*)
                into=$(sed -n 's/^output_dir = "\(.*\)"/\1/p' "$1")
                mkdir -p "$into" && cp -r "$here/converted/." "$into"
                sed -n 's/^input_dir = .*checkpoint-//p' "$1" >"$into/step" # each step has other weights
                ;;
            *) exec @PYTHON@ "$@" ;;
        esac
        ;;
    uv)
        case "$1 $2" in
            'venv '*) make_environment "${!#}" ;;
            'pip install') python=$(value_of --python "$@") && install "${python%/bin/*}" ;;
            *) echo uv ;;
        esac
        ;;
    conda | mamba)
        [[ $1 != create ]] || make_environment "$(value_of --prefix "$@")"
        ;;
    hf) hub_client "$@" ;;
    accelerate) train "$@" ;;
    *) exec "/usr/bin/$name" "$@" ;;
esac
