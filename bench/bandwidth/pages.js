// Runs in the conference page before its own scripts: leads its connection through the link, and notes what its first tile
// shows. It asks `throughLink` for each answer, and knows no figures. Times are performance.now(), milliseconds.
(interval) => {
  const peers = [];
  const { setRemoteDescription } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.setRemoteDescription = async function lead({ type, sdp }) {
    if (!peers.includes(this)) peers.push(this);
    return setRemoteDescription.call(this, { type, sdp: await window.throughLink(peers.indexOf(this), sdp) });
  };

  const noted = { connected: null, pictures: [], samples: [], said: [] };

  function watchFrames(video) {
    const shown = (_, { presentationTime, height }) => {
      video.requestVideoFrameCallback(shown);
      noted.pictures.push([presentationTime, height]);
    };
    video.requestVideoFrameCallback(shown);
  }

  /** Of sections that carry nothing there are counters, too. */
  const busiest = (report, kind) => report.filter((one) => one.type === 'inbound-rtp' && one.kind === kind)
    .reduce((best, one) => (one.packetsReceived > (best?.packetsReceived ?? 0) ? one : best), null);

  let watched = null;
  async function sample() {
    const [peer] = peers;
    if (peer?.connectionState !== 'connected') return;
    noted.connected ??= performance.now();
    const tiles = [...document.querySelectorAll('[data-testid=tile]:not(.own)')];
    const tile = tiles.find((one) => one.dataset.tid);
    // Beside others who only watch, the camera is large all the same.
    if (tile && tiles.length > 1 && !tile.classList.contains('pinned')) tile.querySelector('.pin').click();
    const video = tile?.querySelector('video');
    if (video && video !== watched) watchFrames(watched = video);
    const why = tile?.querySelector('[data-testid=why-small]');
    const words = why && !why.hidden ? why.getAttribute('aria-label') : '';
    if (words !== (noted.said.at(-1)?.[1] ?? '')) noted.said.push([performance.now(), words]);
    const at = performance.now();
    const report = [...(await peer.getStats()).values()];
    noted.samples.push({ at, audio: busiest(report, 'audio'), video: busiest(report, 'video') });
  }

  (async () => {
    for (let step = 1; ; step++) {
      await sample();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, step * interval - performance.now())));
    }
  })();

  window.noted = noted;
}
