import asyncio
import os
import subprocess
from pathlib import Path
from typing import Annotated

import bentoml
from PIL import Image
from PIL.Image import Image as PILImage


@bentoml.service
class StableLMService:
    @bentoml.api
    async def enhance_message(self, message: str = "Happy new year!") -> str:
        return message.upper()


@bentoml.service
class SDXLTurboService:
    @bentoml.api
    def txt2img(self, prompt: str) -> PILImage:
        return Image.new("RGB", (8, 4), "red")


@bentoml.service
class XTTSService:
    @bentoml.api
    def synthesize(self, context: bentoml.Context, text: str) -> Annotated[Path, bentoml.validators.ContentType("audio/*")]:
        path = Path(context.temp_dir) / "speech.wav"
        path.write_text(text)
        return path


@bentoml.service(
    traffic={"timeout": 600},
    workers=4,
    resources={
        "memory": "4Gi"
    },
)
class GreetingCardService:
    # Services StableLMService, SDXLTurboService, and XTTSService are previously defined
    # Retrieve these Services using `bentoml.depends` so that their methods can be called directly
    stablelm = bentoml.depends(StableLMService)
    sdxl = bentoml.depends(SDXLTurboService)
    xtts = bentoml.depends(XTTSService)

    @bentoml.api
    async def generate_card(
            self,
            context: bentoml.Context,
            message: str = "Happy new year!",
    ) -> Annotated[Path, bentoml.validators.ContentType("video/*")]:
        greeting_message = await self.stablelm.enhance_message(message)

        sdxl_prompt_tmpl = "a happy and heart-warming greeting card based on greeting message {message}"
        sdxl_prompt = sdxl_prompt_tmpl.format(message=greeting_message)

        # Run `txt2img` and `synthesize` operations in parallel
        audio_path, image = await asyncio.gather(
            self.xtts.to_async.synthesize(greeting_message),
            self.sdxl.to_async.txt2img(sdxl_prompt)
        )

        image_path = os.path.join(context.temp_dir, "output.png")
        image.save(image_path)

        cmd = ["ffmpeg", "-loop", "1", "-i", str(image_path), "-i", str(audio_path), "-shortest"]
        output_path = os.path.join(context.temp_dir, "output.mp4")
        cmd.append(output_path)
        subprocess.run(cmd)

        return Path(output_path)
