// What every part of the conference page builds with: elements, icons, toasts, settings. It knows no room.
import { hue, initials } from './layout.js';

export const $ = (id) => document.getElementById(id);
export const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
export const icon = (name, extra = '') => {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', `icon ${extra}`.trim());
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
};
export const store = {
  get(key) { try { return localStorage.getItem(`sfu.${key}`); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(`sfu.${key}`, value); } catch { /* private mode */ } },
};
export const setText = (element, text) => { if (element.textContent !== text) element.textContent = text; };

export function toast(text, { problem = false, ms = 4_000 } = {}) {
  const element = make('div', { className: problem ? 'toast problem' : 'toast', textContent: text });
  $('toasts').append(element);
  while ($('toasts').children.length > 4) $('toasts').firstChild.remove();
  setTimeout(() => element.remove(), problem ? ms * 2 : ms);
}

/** Gathers what happens at once: five joins make one line. */
export function gather(ms, tell) {
  let names = [];
  let timer = null;
  return (name) => {
    names.push(name);
    timer ??= setTimeout(() => { const all = names; names = []; timer = null; tell(all); }, ms);
  };
}
export const told = (names, one, many) => (names.length <= 2 ? names.map((name) => `${name} ${one}`) : [`${names.length} people ${many}`]);

export function fillSelect(select, devices, chosen, fallback) {
  const options = devices.map((device, index) =>
    make('option', { value: device.deviceId, textContent: device.label || `${fallback} ${index + 1}` }));
  if (!options.length) options.push(make('option', { value: '', textContent: `No ${fallback.toLowerCase()} found` }));
  select.replaceChildren(...options);
  select.disabled = !devices.length;
  if (devices.some((device) => device.deviceId === chosen)) select.value = chosen;
}

export function paintAvatar(element, name) {
  setText(element, initials(name || '?'));
  element.style.setProperty('--hue', hue(name || '?'));
}
