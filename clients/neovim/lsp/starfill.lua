return require('starfill.config').default()
