;;; starfill-server.el --- Starfill as eglot runs it  -*- lexical-binding: t -*-

;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; The server, and requests to it.

;;; Code:

(require 'cl-lib)
(require 'eglot)

(defgroup starfill nil
  "Code suggestions from a model on your own machine."
  :group 'tools
  :prefix "starfill-")

(defclass starfill-server (eglot-lsp-server)
  ((status :initform nil :accessor starfill--status
           :documentation "What `starfill/status' told last, a plist.")
   (asked :initform nil :accessor starfill--asked
          :documentation "The id of the last request for a suggestion."))
  :documentation "Starfill, as eglot runs it: for `eglot-server-programs'.")

(cl-defmethod eglot-client-capabilities ((_server starfill-server))
  "What eglot can, and inline completion.
Without resolving code actions: eglot would stand still while the model
writes, and give up after ten seconds.  As commands they run beside it."
  (let* ((all (copy-sequence (cl-call-next-method)))
         (text (copy-sequence (plist-get all :textDocument)))
         (action (copy-sequence (plist-get text :codeAction))))
    (cl-remf action :resolveSupport)
    (setq text (plist-put text :codeAction action))
    (setq text (plist-put text :inlineCompletion
                          '(:dynamicRegistration :json-false)))
    (plist-put all :textDocument text)))

(cl-defmethod eglot-handle-notification
  ((server starfill-server) (_method (eql starfill/status))
   &rest status &key &allow-other-keys)
  "Keep the STATUS of the SERVER for the mode line."
  (setf (starfill--status server) status)
  (force-mode-line-update t))

(cl-defmethod jsonrpc-connection-send :before
  ((server starfill-server) &key id method &allow-other-keys)
  "Keep the ID where METHOD asks the SERVER for a suggestion.
Emacs has no public function that returns it."
  (when (eq method :textDocument/inlineCompletion)
    (setf (starfill--asked server) id)))

(defun starfill--server ()
  "This buffer's server where it is Starfill, else nil."
  (let ((server (and (eglot-managed-p) (eglot-current-server))))
    (and (cl-typep server 'starfill-server)
         (jsonrpc-running-p server)
         server)))

(defun starfill--needed-server ()
  "This buffer's server; a `user-error' where that isn't Starfill."
  (or (starfill--server)
      (user-error "Starfill doesn't run here: try M-x eglot")))

(defun starfill--request (method params then &optional otherwise)
  "Send METHOD with PARAMS, and before it what has been typed.
THEN gets the answer, in this buffer if that is still there; OTHERWISE the
error, which is shown without it."
  (let ((server (starfill--needed-server))
        (buffer (current-buffer)))
    (eglot--signal-textDocument/didChange)
    (jsonrpc-async-request
     server method params
     :timeout nil ; a large model takes its time
     :success-fn (lambda (answer)
                   (when (buffer-live-p buffer)
                     (with-current-buffer buffer
                       (funcall then answer))))
     :error-fn (or otherwise
                   (lambda (problem)
                     (message "Starfill: %s" (plist-get problem :message)))))))

(defun starfill--uri ()
  "The URI of this buffer's document."
  (starfill--needed-server) ; which has it open
  (plist-get (eglot--TextDocumentIdentifier) :uri))

(defun starfill--execute (command arguments then)
  "Have the server run COMMAND with ARGUMENTS, a vector; THEN gets the result."
  (starfill--request :workspace/executeCommand
                     (list :command command :arguments arguments)
                     then))

(provide 'starfill-server)
;;; starfill-server.el ends here
