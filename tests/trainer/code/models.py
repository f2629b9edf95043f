"""Stand-in models: tiny, with the files and the methods of the real ones."""

import json
import os
import time

import torch
from safetensors.torch import load_file, save_file
from torch._opaque_base import OpaqueBaseMeta

torch._C._set_generator_metaclass(OpaqueBaseMeta)  # else done by torch's exporter, which STANDIN_QUICK leaves out


def compiled(function, **_):
    """Like torch.compile, which compiles once for each shape; this one only says so."""
    shapes = set()

    def run(sample):
        if tuple(sample.shape) not in shapes:
            shapes.add(tuple(sample.shape))
            print(f"compiled for {tuple(sample.shape)}", flush=True)
        return function(sample)

    return run


torch.compile = compiled


def hold(place):
    """The stand-in's own: whoever writes a place into the file STANDIN_HOLD finds the run there until the file is removed."""
    path = os.environ.get("STANDIN_HOLD", "")
    while os.path.exists(path):
        try:
            with open(path) as file:
                if file.read() != place:
                    return
        except FileNotFoundError:
            return
        with open(path + "-reached", "w") as file:
            file.write(place)
        time.sleep(0.05)


class Model(torch.nn.Module):
    def __init__(self, width=8, **config):
        super().__init__()
        self.config = {"_class_name": type(self).__name__, "width": width, **config}
        self.linear = torch.nn.Linear(width, width)

    def forward(self, sample, timesteps):
        return self.linear(sample) + timesteps.reshape(-1, 1).to(sample.dtype) / 1000

    @classmethod
    def from_pretrained(cls, path, subfolder=None):
        folder = os.path.join(path, subfolder) if subfolder else path
        with open(os.path.join(folder, "config.json")) as file:
            config = json.load(file)
        config.pop("_class_name", None)
        model = cls(**config)
        model.load_state_dict(load_file(os.path.join(folder, "diffusion_pytorch_model.safetensors")))
        return model

    def save_pretrained(self, folder):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump(self.config, file)
        state = {name: value.contiguous() for name, value in self.state_dict().items()}
        save_file(state, os.path.join(folder, "diffusion_pytorch_model.safetensors"))


class Encoder(torch.nn.Module):
    def forward(self, sample):
        return sample


class AutoencoderKL(Model):
    def __init__(self, **config):
        super().__init__(**config)
        self.encoder = Encoder()

    def encode(self, sample):
        return self.encoder(sample)


class UNet2DConditionModel(Model):
    pass


class BrushNetModel(Model):
    pass


class MotionAdapter(Model):
    pass


class UNetMotionModel(Model):
    @classmethod
    def from_unet2d(cls, unet, motion_adapter):
        model = cls(**{name: value for name, value in unet.config.items() if name != "_class_name"})
        model.linear.load_state_dict(unet.linear.state_dict())
        model.motion = torch.nn.Linear(8, 8)
        model.motion.load_state_dict(motion_adapter.linear.state_dict())
        return model

    def forward(self, sample, timesteps, num_frames):
        if num_frames > 32:
            raise RuntimeError(f"The size of tensor a ({num_frames}) must match the size of tensor b (32)")
        return self.motion(self.linear(sample)) + timesteps.repeat_interleave(num_frames).reshape(-1, 1) / 1000

    def save_motion_modules(self, folder):
        save_file(dict(self.motion.state_dict()), os.path.join(folder, "diffusion_pytorch_model.safetensors"))
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump(self.config, file)
