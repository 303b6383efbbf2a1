;;; starfill-suggestion.el --- Suggestions from Starfill behind the cursor  -*- lexical-binding: t -*-

;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; Asks for suggestions, shows one, and inserts it or a part of it.

;;; Code:

(require 'map)
(require 'seq)
(require 'starfill-server)

(defcustom starfill-delay 0.15
  "Seconds without a key after which a suggestion is asked for.
With nil only \\[starfill-complete] asks."
  :type '(choice number (const :tag "Only when asked to" nil))
  :group 'starfill)

(defface starfill-suggestion '((t :inherit shadow))
  "What is suggested, but not in the buffer."
  :group 'starfill)

;;;; What is in sight

(cl-defstruct (starfill--item (:copier nil))
  "A suggestion: TEXT in place of what is between FROM and the cursor, and of
the TAIL characters behind it.  COMMAND is run when it has been accepted."
  from text tail command)

(defvar-local starfill--overlay nil
  "Shows the suggestion, from the cursor to the end of what it replaces.")
(defvar-local starfill--items nil
  "The suggestions for this place, the one in sight first.")
(defvar-local starfill--rest ""
  "The part of the suggestion that isn't in the buffer yet.")
(defvar-local starfill--tick nil
  "What `buffer-chars-modified-tick' was for the text that is in sight.")

(defun starfill--read-item (answer)
  "The suggestion in ANSWER, an InlineCompletionItem for point."
  (pcase-let* (((map :range :insertText :command) answer)
               (from (eglot--lsp-position-to-point (plist-get range :start)))
               (to (eglot--lsp-position-to-point (plist-get range :end))))
    (make-starfill--item :from from :text insertText :tail (- to (point))
                         :command command)))

(defun starfill--rest-of (item)
  "What ITEM would still put in at point; nil where it doesn't fit."
  (let ((from (starfill--item-from item))
        (text (starfill--item-text item)))
    (when (<= from (point))
      (let ((typed (buffer-substring-no-properties from (point))))
        (and (string-prefix-p typed text)
             (not (string= typed text))
             (substring text (length typed)))))))

(defun starfill--show (items)
  "Show the first of ITEMS that fits at point; nil if none does."
  (starfill--hide)
  (when-let* ((fitting (seq-filter #'starfill--rest-of items))
              (item (car fitting))
              (end (+ (point) (starfill--item-tail item))))
    (setq starfill--items fitting
          starfill--overlay (make-overlay (point) end))
    (overlay-put starfill--overlay 'window (selected-window))
    (starfill--render (starfill--rest-of item))
    t))

(defun starfill--render (rest)
  "Show REST behind the cursor."
  (setq starfill--rest rest
        starfill--tick (buffer-chars-modified-tick))
  (let ((ghost (propertize rest 'face 'starfill-suggestion)))
    (put-text-property 0 1 'cursor t ghost) ; the cursor stays in front of it
    (overlay-put starfill--overlay
                 (if (< (overlay-start starfill--overlay)
                        (overlay-end starfill--overlay))
                     'display ; in place of what it replaces
                   'before-string)
                 ghost)))

(defun starfill--hide ()
  "Take the suggestion out of sight."
  (when starfill--overlay
    (delete-overlay starfill--overlay)
    (setq starfill--overlay nil
          starfill--items nil)))

(defun starfill--current-p ()
  "Whether what is in sight was made for the text and the place as they are."
  (and starfill--overlay
       (= (point) (overlay-start starfill--overlay))
       (= starfill--tick (buffer-chars-modified-tick))))

;;;; Asking

(defvar starfill-mode) ; defined in starfill.el
(declare-function starfill-why "starfill")

(defvar-local starfill--timer nil
  "Asks when nobody has typed for a while.")
(defvar-local starfill--pending nil
  "The request under way: a list of its server, id, tick and point.")
(defvar-local starfill--changed nil
  "What has been done to the text since the last command: nil, `typed', `undone'.")

(defun starfill--ask (buffer explicitly)
  "Ask for a suggestion at point in BUFFER, if that is where the user is.
EXPLICITLY: the user has asked, and is told why there is none."
  (when (eq buffer (window-buffer))
    (with-current-buffer buffer
      (starfill--forget)
      (when-let* ((server (and starfill-mode
                               (not buffer-read-only)
                               (starfill--server)))
                  (request (list server nil
                                 (buffer-chars-modified-tick) (point))))
        (setq starfill--pending request)
        (starfill--request
         :textDocument/inlineCompletion
         `(,@(eglot--TextDocumentPositionParams)
           :context (:triggerKind ,(if explicitly 1 2)))
         (lambda (answer)
           (when (starfill--awaited-p request)
             (setq starfill--pending nil)
             (or (starfill--show (mapcar #'starfill--read-item
                                         (plist-get answer :items)))
                 (when explicitly (starfill-why)))))
         (lambda (_problem)
           (eglot-clear-status server))) ; a cancelled request is no error
        (setf (nth 1 request) (starfill--asked server))))))

(defun starfill--awaited-p (request)
  "Whether the answer to REQUEST is for the text and the place as they are."
  (and (eq request starfill--pending)
       (eq (current-buffer) (window-buffer))
       (equal (nthcdr 2 request)
              (list (buffer-chars-modified-tick) (point)))))

(defun starfill--forget ()
  "Ask no more, and cancel what was asked."
  (when starfill--timer
    (cancel-timer starfill--timer)
    (setq starfill--timer nil))
  (pcase starfill--pending
    (`(,server ,id . ,_)
     (setq starfill--pending nil)
     (when (and id (jsonrpc-running-p server))
       (jsonrpc-notify server :$/cancelRequest (list :id id))))))

;;;; Following the user

(defun starfill--after-change (from to removed)
  "What was in sight stays for as long as it is being typed.
The text between FROM and TO is new, REMOVED characters are gone."
  (setq starfill--changed (if undo-in-progress 'undone 'typed))
  (when starfill--overlay
    (let ((typed (buffer-substring-no-properties from to)))
      (if (and (= removed 0)
               (= from (overlay-start starfill--overlay))
               (string-prefix-p typed starfill--rest)
               (not (string= typed starfill--rest)))
          (progn
            (move-overlay starfill--overlay
                          to (max to (overlay-end starfill--overlay)))
            (starfill--render (substring starfill--rest (length typed))))
        (starfill--hide)))))

(defun starfill--post-command ()
  "Drop what is out of date, and ask anew after a change."
  (unless (starfill--current-p)
    (starfill--hide))
  (when (and starfill--pending
             (not (starfill--awaited-p starfill--pending)))
    (starfill--forget))
  (when starfill--changed
    (starfill--forget)
    (when (and starfill-delay
               (not starfill--overlay)
               (eq starfill--changed 'typed))
      (setq starfill--timer
            (run-with-idle-timer starfill-delay nil
                                 #'starfill--ask (current-buffer) nil)))
    (setq starfill--changed nil)))

(defun starfill--left (_window)
  "Hide the suggestion, since the user is in another window now."
  (unless (minibuffer-selected-window)
    (starfill--hide)))

(defun starfill--end ()
  "Leave nothing behind in this buffer."
  (starfill--forget)
  (starfill--hide))

;;;; Taking it

(defun starfill-accept ()
  "Put the suggestion in."
  (interactive "*")
  (starfill--check)
  (let ((command (starfill--item-command (car starfill--items)))
        (end (overlay-end starfill--overlay)))
    (starfill--hide)
    (delete-region (point) end)
    (insert starfill--rest)
    (when command
      (starfill--execute (plist-get command :command)
                         (plist-get command :arguments)
                         #'ignore))))

(defun starfill-accept-word ()
  "Put the next word of the suggestion in, and keep the rest in sight."
  (interactive "*")
  (starfill--accept-part
   "\\`[ \t\n]*\\(?:[[:word:]_]+\\|[^[:word:]_ \t\n]*\\)"))

(defun starfill-accept-line ()
  "Put the next line of the suggestion in, and keep the rest in sight."
  (interactive "*")
  (starfill--accept-part "\\`\n*[^\n]*"))

(defun starfill--accept-part (regexp)
  "Put in what REGEXP matches in the suggestion."
  (starfill--check)
  (string-match regexp starfill--rest)
  (let ((part (match-string 0 starfill--rest)))
    (if (string= part starfill--rest)
        (starfill-accept)
      (insert part))))

(defun starfill-dismiss ()
  "Take the suggestion out of sight."
  (interactive)
  (starfill--hide))

(defun starfill-next ()
  "Show another suggestion for this place, if there is one."
  (interactive)
  (starfill--check)
  (starfill--show (append (cdr starfill--items)
                          (list (car starfill--items)))))

(defun starfill-previous ()
  "Show the suggestion that was shown before this one, if there is one."
  (interactive)
  (starfill--check)
  (starfill--show (append (last starfill--items)
                          (butlast starfill--items))))

(defun starfill--check ()
  "Signal a `user-error' unless there is a suggestion for this very text."
  (unless (starfill--current-p)
    (starfill--hide)
    (user-error "Nothing is suggested here")))

(defun starfill--unless-indenting (command)
  "COMMAND; nil where TAB is for the indentation that the suggestion begins with."
  (unless (and (string-match-p "\\`[ \t]" starfill--rest)
               (save-excursion (skip-chars-backward " \t") (bolp)))
    command))

(defvar starfill-active-map
  (let ((map (make-sparse-keymap)))
    (dolist (key '("TAB" "<tab>"))
      (define-key map (kbd key)
                  '(menu-item "" starfill-accept
                              :filter starfill--unless-indenting)))
    (define-key map (kbd "M-f") #'starfill-accept-word)
    (define-key map (kbd "M-e") #'starfill-accept-line)
    (define-key map (kbd "M-n") #'starfill-next)
    (define-key map (kbd "M-p") #'starfill-previous)
    (define-key map (kbd "C-g") #'starfill-dismiss)
    map)
  "Keys that mean something else while a suggestion is in sight.")

(defvar starfill--keys `((starfill--overlay . ,starfill-active-map))
  "For `emulation-mode-map-alists': these keys go before any minor mode's.")
(add-to-list 'emulation-mode-map-alists 'starfill--keys)

(provide 'starfill-suggestion)
;;; starfill-suggestion.el ends here
