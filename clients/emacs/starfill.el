;;; starfill.el --- Code suggestions from Starfill, shown where you type  -*- lexical-binding: t -*-

;; Author: The Starfill authors
;; Version: 0.5.0
;; Package-Requires: ((emacs "29.1"))
;; Keywords: convenience, languages, tools
;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; Starfill is a language server that completes code with a model on your own
;; machine.  Eglot starts it and keeps it up to date; this package adds what
;; eglot lacks: suggestions as grey text behind the cursor.
;;
;;     (add-to-list 'load-path "/path/to/starfill/clients/emacs")
;;     (with-eval-after-load 'eglot
;;       (require 'starfill)
;;       (add-to-list 'eglot-server-programs
;;                    '((python-mode python-ts-mode)
;;                      . (starfill-server "/path/to/.venv/bin/starfill" "--stdio")))
;;       (add-hook 'eglot-managed-mode-hook #'starfill-ensure))
;;     (add-hook 'python-base-mode-hook #'eglot-ensure)
;;
;; While a suggestion is in sight TAB takes all of it, M-f a word, M-e a line,
;; C-g none of it, and M-n and M-p show others where there are some.  See
;; `starfill-active-map'; at all other times every key is what it was.

;;; Code:

(require 'map)
(require 'starfill-server)
(require 'starfill-suggestion)

;;;; The mode

;;;###autoload
(define-minor-mode starfill-mode
  "Show Starfill's suggestions where you type.
While one is in sight:
\\{starfill-active-map}"
  :lighter (:eval (starfill--lighter))
  (pcase-dolist (`(,hook . ,function)
                 '((after-change-functions . starfill--after-change)
                   (post-command-hook . starfill--post-command)
                   (window-selection-change-functions . starfill--left)
                   (change-major-mode-hook . starfill--end)
                   (kill-buffer-hook . starfill--end)))
    (if starfill-mode
        (add-hook hook function nil t)
      (remove-hook hook function t)))
  (unless starfill-mode
    (starfill--end)))

(defun starfill-ensure ()
  "Turn `starfill-mode' on if eglot's server is Starfill, else off.
For `eglot-managed-mode-hook'."
  (starfill-mode (if (starfill--server) 1 -1)))

(defun starfill--lighter ()
  "The state of the server, for the mode line."
  (let* ((server (starfill--server))
         (status (and server (starfill--status server)))
         (state (plist-get status :state))
         (progress (plist-get status :progress)))
    (propertize
     (concat " Starfill"
             (unless (member state '("ready" "busy"))
               (concat ":" (or state "off")))
             (when (numberp progress)
               (format " %d%%%%" (round (* 100 progress)))))
     'help-echo (plist-get status :message))))

;;;; Commands

(defun starfill-complete ()
  "Ask for a suggestion now; where there is none, say why."
  (interactive "*")
  (starfill--needed-server)
  (unless starfill-mode
    (starfill-mode))
  (starfill--ask (current-buffer) t))

(defun starfill-why ()
  "Say why nothing was suggested, or where the last suggestion came from."
  (interactive)
  (starfill--request
   :starfill/lastCompletion
   (list :uri (starfill--uri))
   (pcase-lambda ((map :reason :source :totalMs))
     (message "Starfill: %s"
              (or reason
                  (format "the last suggestion came from: %s (%d ms)"
                          source totalMs))))))

(defun starfill-toggle (scope)
  "Turn suggestions off, or on again, for SCOPE: \"file\", \"language\" or \"all\".
That is this file; with a prefix argument you are asked."
  (interactive
   (list (if current-prefix-arg
             (completing-read "Turn suggestions on or off for: "
                              '("file" "language" "all") nil t)
           "file")))
  (let ((uri (starfill--uri)))
    (starfill--hide)
    (starfill--execute
     "starfill.setEnabled" (vector (list :scope scope :uri uri :enabled nil))
     (lambda (_)
       (starfill--execute
        "starfill.enabled" (vector (list :uri uri))
        (pcase-lambda ((map :enabled :reason))
          (message "Starfill: %s"
                   (if (eq enabled t) "suggestions are on" reason))))))))

(defun starfill--instruct (order)
  "Have ORDER carried out on the region, or on the code around point."
  (starfill--execute
   "starfill.instruct"
   (vector `(:uri ,(starfill--uri)
             :range (:start ,(starfill--position (if (use-region-p)
                                                     (region-beginning)
                                                   (point)))
                     :end ,(starfill--position (if (use-region-p)
                                                   (region-end)
                                                 (point))))
             ,@order))
   #'ignore))

(defun starfill--position (position)
  "The POSITION in the protocol's terms."
  (save-excursion
    (goto-char position)
    (plist-get (eglot--TextDocumentPositionParams) :position)))

(defun starfill-ask (instruction)
  "Have the region, or the code around point, rewritten by INSTRUCTION."
  (interactive "sAsk Starfill to: ")
  (starfill--instruct (list :instruction instruction)))

(defun starfill-explain ()
  "Explain the region, or the code around point."
  (interactive)
  (starfill--instruct '(:action "explain")))

(defun starfill-simplify ()
  "Simplify the region, or the code around point."
  (interactive)
  (starfill--instruct '(:action "refactor")))

(provide 'starfill)
;;; starfill.el ends here
