"""Networks of transformers with random weights and small configurations; what they give is looked into.

Narrow, but with some layers and wide feed-forward parts: in most, as in large ones, little is embedded, or
normalised across all of the stream.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from tests.surgery.zoo.entry import Entry, Example, named, pictures, rows, tokens


def _model(family: str, head: str, **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import transformers

        config = getattr(transformers, f"{family}Config")(**options)
        config._attn_implementation = "eager"
        return getattr(transformers, f"{family}{head}")(config)

    return build


_NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
_WORDS = 24
_SMALL = {
    "vocab_size": _WORDS,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 12,
}
_LLAMA = {**_SMALL, "num_key_value_heads": 2, "use_cache": False, "attention_dropout": 0.0, "pad_token_id": 0}


def _words(length: int = 8) -> Callable[[int], Example]:
    return named(input_ids=tokens(length, _WORDS))


def _entry(
    name: str, family: str, build: Callable[[], nn.Module], example: Callable[[int], Example]
) -> Entry:
    return Entry(f"hf_{name}", family, build, example, "transformers")


ENTRIES = (
    _entry("bert", "BERT", _model("Bert", "ForSequenceClassification", **_SMALL, **_NO_DROPOUT), _words()),
    _entry(
        "gpt2",
        "GPT-2",
        _model(
            "GPT2",
            "LMHeadModel",
            vocab_size=_WORDS,
            n_embd=32,
            n_layer=4,
            n_head=4,
            n_positions=12,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            use_cache=False,
        ),
        _words(),
    ),
    _entry("llama", "LLaMA", _model("Llama", "ForCausalLM", **_LLAMA), _words()),
    _entry("qwen2", "LLaMA", _model("Qwen2", "ForCausalLM", **_LLAMA), _words()),
    _entry(
        "t5",
        "T5",
        _model(
            "T5",
            "ForConditionalGeneration",
            vocab_size=_WORDS,
            d_model=32,
            d_kv=8,
            d_ff=128,
            num_layers=3,
            num_heads=4,
            dropout_rate=0.0,
            use_cache=False,
        ),
        named(input_ids=tokens(8, _WORDS), decoder_input_ids=tokens(6, _WORDS)),
    ),
    _entry(
        "albert",
        "shared layers",
        _model(
            "Albert",
            "ForSequenceClassification",
            **_SMALL,
            embedding_size=16,
            classifier_dropout_prob=0.0,
            **_NO_DROPOUT,
        ),
        _words(),
    ),
    _entry(
        "distilbert",
        "BERT",
        _model(
            "DistilBert",
            "ForSequenceClassification",
            vocab_size=_WORDS,
            dim=32,
            n_layers=4,
            n_heads=4,
            hidden_dim=128,
            max_position_embeddings=12,
            dropout=0.0,
            attention_dropout=0.0,
            seq_classif_dropout=0.0,
        ),
        _words(),
    ),
    _entry(
        "opt",
        "OPT",
        _model(
            "OPT",
            "ForCausalLM",
            vocab_size=_WORDS,
            hidden_size=32,
            word_embed_proj_dim=32,
            num_hidden_layers=4,
            ffn_dim=128,
            num_attention_heads=4,
            max_position_embeddings=12,
            dropout=0.0,
            use_cache=False,
        ),
        _words(),
    ),
    _entry(
        "bart",
        "encoder and decoder",
        _model(
            "Bart",
            "ForConditionalGeneration",
            vocab_size=_WORDS,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=128,
            decoder_ffn_dim=128,
            max_position_embeddings=12,
            dropout=0.0,
            use_cache=False,
        ),
        named(input_ids=tokens(8, _WORDS), decoder_input_ids=tokens(6, _WORDS)),
    ),
    _entry(
        "mamba",
        "state space",
        _model(
            "Mamba",
            "ForCausalLM",
            vocab_size=_WORDS,
            hidden_size=24,
            state_size=4,
            num_hidden_layers=4,
            use_cache=False,
        ),
        _words(6),
    ),
    _entry(
        "segformer",
        "SegFormer",
        _model(
            "Segformer",
            "ForSemanticSegmentation",
            num_encoder_blocks=2,
            depths=[1, 1],
            sr_ratios=[2, 1],
            hidden_sizes=[16, 32],
            patch_sizes=[7, 3],
            strides=[4, 2],
            num_attention_heads=[1, 2],
            mlp_ratios=[4, 4],
            decoder_hidden_size=32,
            drop_path_rate=0.0,
            classifier_dropout_prob=0.0,
            num_labels=4,
            **_NO_DROPOUT,
        ),
        named(pixel_values=pictures(32)),
    ),
    _entry(
        "clip",
        "contrastive pair",
        _model(
            "CLIP",
            "Model",
            projection_dim=24,
            text_config={**_SMALL, "eos_token_id": _WORDS - 1, "bos_token_id": 0, "pad_token_id": 1},
            vision_config={
                "hidden_size": 32,
                "intermediate_size": 128,
                "num_hidden_layers": 4,
                "num_attention_heads": 4,
                "image_size": 32,
                "patch_size": 8,
            },
        ),
        named(input_ids=tokens(8, _WORDS), pixel_values=pictures(32)),
    ),
    _entry(
        "whisper",
        "speech to text",
        _model(
            "Whisper",
            "ForConditionalGeneration",
            vocab_size=_WORDS,
            num_mel_bins=16,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=128,
            decoder_ffn_dim=128,
            max_source_positions=12,
            max_target_positions=12,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=3,
            dropout=0.0,
            use_cache=False,
        ),
        named(input_features=rows(16, 24), decoder_input_ids=tokens(6, _WORDS)),
    ),
    _entry(
        "wav2vec2",
        "wav2vec",
        _model(
            "Wav2Vec2",
            "ForCTC",
            vocab_size=12,
            hidden_size=32,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=128,
            conv_dim=(16, 24),
            conv_stride=(4, 2),
            conv_kernel=(8, 3),
            num_feat_extract_layers=2,
            num_conv_pos_embeddings=5,
            num_conv_pos_embedding_groups=4,
            hidden_dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.0,
            feat_proj_dropout=0.0,
            final_dropout=0.0,
            layerdrop=0.0,
            mask_time_prob=0.0,
            mask_feature_prob=0.0,
        ),
        named(input_values=rows(200)),
    ),
)
