/** Shows the camera as a video, whose frames the model explains. */

import { Problem } from "./problem.js";

export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

export class Camera {
  video = document.createElement("video");
  #frame = 0;

  /** @param {() => void} onFrame called for each new frame */
  async start(onFrame) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: 640 } });
      Object.assign(this.video, { srcObject: stream, muted: true, playsInline: true });
      await this.video.play();
    } catch (error) {
      this.stop();
      throw new Problem("The camera can't be used: there is none, it is in use, or the browser has no permission.", { cause: error });
    }
    const next = () => {
      onFrame();
      this.#frame = this.video.requestVideoFrameCallback(next);
    };
    next();
  }

  stop() {
    this.video.cancelVideoFrameCallback(this.#frame);
    const stream = /** @type {MediaStream | null} */ (this.video.srcObject);
    for (const track of stream?.getTracks() ?? []) track.stop();
    this.video.srcObject = null;
  }
}
