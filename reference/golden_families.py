"""What the base checkpoints of the golden cases consist of: Stable Diffusion 1.x, XL, 2.x and latent consistency, each laid out as on the hub.

A base is a folder of test/golden that loads as it is. A case says which base it changes.
"""
from dataclasses import dataclass, field

from golden_checkpoint import ALL_MERGES, END, MODEL_INDEX, SCHEDULER, TEXT_ENCODER, UNET, VAE

# 256 symbols, the same at the end of a word, 250 merges, two marks.
FEW_MERGES = 250
SMALL_VOCABULARY = 512 + FEW_MERGES + 2


@dataclass(frozen=True)
class Base:
    index: dict
    scheduler: dict
    unet: dict
    vae: dict
    # By component: the configuration of the text encoder.
    text_encoders: dict
    # By component: the token that fills up a short prompt.
    tokenizers: dict
    merges: int = FEW_MERGES
    # What a call of the pipeline's class takes beside the request, and what loading takes.
    load: dict = field(default_factory=dict)

    @property
    def pipeline(self) -> str:
        return self.index["_class_name"]


SAFETY = {"safety_checker": None, "feature_extractor": None}
SMALL_TEXT_ENCODER = {**TEXT_ENCODER, "vocab_size": SMALL_VOCABULARY, "num_hidden_layers": 3}
SMALL_VAE = {**VAE, "block_out_channels": [8, 8, 8, 8]}

SD1 = Base(
    index=MODEL_INDEX,
    scheduler=SCHEDULER,
    unet=UNET,
    vae=VAE,
    text_encoders={"text_encoder": TEXT_ENCODER},
    tokenizers={"tokenizer": END},
    merges=ALL_MERGES,
    load=SAFETY,
)

# As the files of stable-diffusion-xl-base-1.0: the second tokenizer fills up with "!", the second encoder is OpenCLIP's and projects its pooled output.
XL_HIDDEN = 24
XL_POOLED = 20
XL = Base(
    index={
        "_class_name": "StableDiffusionXLPipeline",
        "_diffusers_version": "0.19.0.dev0",
        "force_zeros_for_empty_prompt": True,
        "add_watermarker": None,
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    },
    scheduler={
        "_class_name": "EulerDiscreteScheduler",
        "_diffusers_version": "0.19.0.dev0",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": False,
        "interpolation_type": "linear",
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon",
        "sample_max_value": 1.0,
        "set_alpha_to_one": False,
        "skip_prk_steps": True,
        "steps_offset": 1,
        "timestep_spacing": "leading",
        "trained_betas": None,
        "use_karras_sigmas": False,
    },
    unet={
        "_class_name": "UNet2DConditionModel",
        "_diffusers_version": "0.19.0.dev0",
        "act_fn": "silu",
        "addition_embed_type": "text_time",
        "addition_embed_type_num_heads": 64,
        "addition_time_embed_dim": 8,
        "attention_head_dim": [1, 2, 3],
        "block_out_channels": [8, 16, 24],
        "center_input_sample": False,
        "class_embed_type": None,
        "class_embeddings_concat": False,
        "conv_in_kernel": 3,
        "conv_out_kernel": 3,
        "cross_attention_dim": TEXT_ENCODER["hidden_size"] + XL_HIDDEN,
        "cross_attention_norm": None,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "downsample_padding": 1,
        "dual_cross_attention": False,
        "encoder_hid_dim": None,
        "encoder_hid_dim_type": None,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "in_channels": 4,
        "layers_per_block": 1,
        "mid_block_only_cross_attention": None,
        "mid_block_scale_factor": 1,
        "mid_block_type": "UNetMidBlock2DCrossAttn",
        "norm_eps": 1e-05,
        "norm_num_groups": 8,
        "num_attention_heads": None,
        "num_class_embeds": None,
        "only_cross_attention": False,
        "out_channels": 4,
        "projection_class_embeddings_input_dim": XL_POOLED + 6 * 8,
        "resnet_out_scale_factor": 1.0,
        "resnet_skip_time_act": False,
        "resnet_time_scale_shift": "default",
        "sample_size": 6,
        "time_cond_proj_dim": None,
        "time_embedding_act_fn": None,
        "time_embedding_dim": None,
        "time_embedding_type": "positional",
        "timestep_post_act": None,
        "transformer_layers_per_block": [1, 2, 1],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "upcast_attention": None,
        "use_linear_projection": True,
    },
    vae={**SMALL_VAE, "_diffusers_version": "0.20.0.dev0", "force_upcast": True, "sample_size": 1024, "scaling_factor": 0.13025},
    text_encoders={
        "text_encoder": {**SMALL_TEXT_ENCODER, "num_hidden_layers": 3, "projection_dim": 16},
        "text_encoder_2": {
            **SMALL_TEXT_ENCODER,
            "_name_or_path": "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k",
            "architectures": ["CLIPTextModelWithProjection"],
            "hidden_act": "gelu",
            "hidden_size": XL_HIDDEN,
            "intermediate_size": 48,
            "num_attention_heads": 3,
            "num_hidden_layers": 4,
            "projection_dim": XL_POOLED,
        },
    },
    tokenizers={"tokenizer": END, "tokenizer_2": "!"},
    load={"add_watermarker": False},
)

# As the files of stable-diffusion-2-1: OpenCLIP's encoder without its last layer, "!" fills up, heads per block, linear projections, v-prediction.
SD2 = Base(
    index={**MODEL_INDEX, "_diffusers_version": "0.8.0", "scheduler": ["diffusers", "DDIMScheduler"]},
    scheduler={**SCHEDULER, "_class_name": "DDIMScheduler", "_diffusers_version": "0.8.0", "prediction_type": "v_prediction"},
    unet={
        **UNET,
        "_diffusers_version": "0.10.0.dev0",
        "attention_head_dim": [2, 4, 3],
        "block_out_channels": [8, 16, 24],
        "cross_attention_dim": 24,
        "dual_cross_attention": False,
        "num_class_embeds": None,
        "only_cross_attention": False,
        "sample_size": 6,
        "upcast_attention": True,
        "use_linear_projection": True,
    },
    vae=SMALL_VAE,
    text_encoders={
        "text_encoder": {
            **SMALL_TEXT_ENCODER,
            "_name_or_path": "hf-models/stable-diffusion-v2-768x768/text_encoder",
            "hidden_act": "gelu",
            "hidden_size": 24,
            "intermediate_size": 48,
            "num_attention_heads": 3,
            "projection_dim": 12,
        }
    },
    tokenizers={"tokenizer": "!"},
    load=SAFETY,
)

# As the files of LCM_Dreamshaper_v7: the guidance is an input of the time embedding.
LCM_SCHEDULER = {
    "_class_name": "LCMScheduler",
    "_diffusers_version": "0.22.0.dev0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "clip_sample_range": 1.0,
    "dynamic_thresholding_ratio": 0.995,
    "num_train_timesteps": 1000,
    "original_inference_steps": 50,
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
    "sample_max_value": 1.0,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "thresholding": False,
    "timestep_scaling": 10.0,
    "timestep_spacing": "leading",
    "trained_betas": None,
}
LCM = Base(
    index={
        **MODEL_INDEX,
        "_class_name": "LatentConsistencyModelPipeline",
        "_diffusers_version": "0.22.0.dev0",
        "requires_safety_checker": True,
        "scheduler": ["diffusers", "LCMScheduler"],
    },
    scheduler=LCM_SCHEDULER,
    unet={**UNET, "_diffusers_version": "0.22.0.dev0", "block_out_channels": [8, 16, 24], "sample_size": 6, "time_cond_proj_dim": 10},
    vae=SMALL_VAE,
    text_encoders={"text_encoder": SMALL_TEXT_ENCODER},
    tokenizers={"tokenizer": END},
    load=SAFETY,
)

BASES = {"base": SD1, "base-xl": XL, "base-sd2": SD2, "base-lcm": LCM}
