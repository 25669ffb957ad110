// Light and dark: what the system says, until a key or button says otherwise. Kept for the next visit where the browser
// lets a file keep anything. The root element always names the theme that holds.

const KEY = 'vmreplay-theme';
const THEMES = ['light', 'dark'] as const;
type Theme = (typeof THEMES)[number];

/** Whether it was chosen on this visit. */
let chosen = false;

const system = window.matchMedia('(prefers-color-scheme: dark)');

function stored(): Theme | undefined {
  try {
    const text = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === text);
  } catch {
    return undefined;
  }
}

function show(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
}

/** Show the chosen theme, or the system's. */
export function showTheme(): void {
  show(stored() ?? (system.matches ? 'dark' : 'light'));
}

/** Go with the system as long as no theme is chosen. */
export function followSystem(changed: () => void): void {
  system.addEventListener('change', () => {
    if (chosen) return;
    showTheme();
    changed();
  });
}

/** The other theme. */
export function nextTheme(): Theme {
  const theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  chosen = true;
  show(theme);
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // The choice holds for this visit.
  }
  return theme;
}
