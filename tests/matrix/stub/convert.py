"""Stand-in for upstream's converters."""

import os
import shutil

input_dir = "/home/hj/Train_Diffueraser/finetune-stage/checkpoint-xxxx"
output_dir = "/home/hj/Train_Diffueraser/converted_weights/finetuned-stage"
accelerator = dict(
    mixed_precision='fp16',
)

if accelerator["mixed_precision"] == "fp16":
    os.stat(os.path.join(input_dir, "scaler.pt"))
for name, source in (("unet_main", "model.safetensors"), ("brushnet", "model_1.safetensors")):
    os.makedirs(os.path.join(output_dir, name), exist_ok=True)
    shutil.copy(os.path.join(input_dir, source), os.path.join(output_dir, name, "diffusion_pytorch_model.safetensors"))
    with open(os.path.join(output_dir, name, "config.json"), "w") as file:
        file.write("{}")
