import { defineConfig } from 'vite'

/** The page that `make bench-viewer` holds the reading room against; no part of the product. */
export default defineConfig({
  base: './',
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    chunkSizeWarningLimit: 4500,
    rolldownOptions: {
      input: 'src/bench/bare.ts',
      output: { entryFileNames: 'bare.js' },
      checks: { pluginTimings: false, bundlerTimings: false },
      onLog: (level, log, handle) => {
        if (!log.message?.includes('externalized for browser compatibility')) handle(level, log)
      },
    },
  },
})
