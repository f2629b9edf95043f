"""Stand-in for upstream's trainers: reads and writes what they read and write, and computes nothing."""

import argparse
import json
import os
import shutil
import struct
import sys
import time
import zipfile


def parse():
    parser = argparse.ArgumentParser()
    for name in ("base_model_name_or_path", "vae_path", "davis_root", "ytvos_root", "output_dir"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("max_train_steps", "checkpointing_steps", "checkpoints_total_limit"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("pretrained_stage1", "mixed_precision"):
        parser.add_argument(f"--{name}")
    return parser.parse_known_args()[0]


def checkpoints(folder):
    names = [name for name in os.listdir(folder) if name.startswith("checkpoint")]
    return sorted(names, key=lambda name: int(name.split("-")[1]))


def tensors(value):
    head = json.dumps({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(head)) + head + struct.pack("<f", value)


def save(folder, step, precision):
    os.makedirs(folder)
    for name in ("optimizer.bin", "scheduler.bin", "random_states_0.pkl", *(["scaler.pt"] if precision == "fp16" else [])):
        with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
            archive.writestr("archive/data.pkl", str(step))
    for name in ("model.safetensors", "model_1.safetensors"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(tensors(step))


def main(args):
    for folder in (args.base_model_name_or_path, args.vae_path, args.davis_root, args.ytvos_root, args.pretrained_stage1 or "."):
        os.listdir(folder)
    saved = checkpoints(args.output_dir)
    begin = int(saved[-1].split("-")[1]) if saved else 0
    with open(os.path.join(args.output_dir, "starts.txt"), "a") as file:
        print(begin, file=file)
    for step in range(begin + 1, args.max_train_steps + 1):
        time.sleep(float(os.environ.get("STANDIN_STEP_SECONDS", "0")))
        if step % args.checkpointing_steps == 0 or step == args.max_train_steps:
            for name in checkpoints(args.output_dir)[: 1 - args.checkpoints_total_limit or None]:
                shutil.rmtree(os.path.join(args.output_dir, name))
            save(os.path.join(args.output_dir, f"checkpoint-{step}"), step, args.mixed_precision)
        print(f"\rSteps:  5%|5    | {step}/{args.max_train_steps} [00:01<00:01,  1.00it/s, loss=0.5]", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(parse())
